import { DER, DerReader, encodeDer, encodeDerInteger, type Bytes } from '@cloister/bytes';

/**
 * The fixed-length r ‖ s of a DER Ecdsa-Sig-Value (RFC 3279, section 2.2.3). `size` is the length
 * of one number: 32 for P-256, 48 for P-384. Strict: positive minimal integers that fit, nothing
 * behind them.
 */
export function ecdsaDerToRaw(der: Uint8Array, size: number, name = 'ECDSA signature'): Bytes {
  const outer = new DerReader(der, name);
  const body = outer.enter(DER.SEQUENCE);
  outer.end();
  const raw = new Uint8Array(2 * size);
  for (const end of [size, 2 * size]) {
    const number = body.integer();
    if ((number[0] ?? 0) >= 0x80) body.fail();
    const digits = number[0] === 0 ? number.subarray(1) : number;
    if (digits.length === 0 || digits.length > size) body.fail();
    raw.set(digits, end - digits.length);
  }
  body.end();
  return raw;
}

/** The DER Ecdsa-Sig-Value of r ‖ s; RangeError where the length is odd or zero. */
export function ecdsaRawToDer(raw: Uint8Array): Bytes {
  if (raw.length === 0 || raw.length % 2 !== 0) throw new RangeError('r and s differ in length');
  const size = raw.length / 2;
  return encodeDer(
    DER.SEQUENCE,
    encodeDerInteger(raw.subarray(0, size)),
    encodeDerInteger(raw.subarray(size)),
  );
}
