import type { Bytes, Reader } from '@cloister/bytes';

/** A variable-length integer of QUIC (RFC 9000 section 16), of any of its four sizes. */
export function readVarint(reader: Reader): number {
  const first = reader.u8();
  const size = first >> 6;
  let value = first & 0x3f;
  for (let more = (1 << size) - 1; more > 0; more--) value = value * 256 + reader.u8();
  // Beyond 2^53 a number no longer holds it, and no message is that long.
  if (!Number.isSafeInteger(value)) reader.fail('too_large');
  return value;
}

/** The shortest form of a QUIC variable-length integer (RFC 9000 section 16). */
export function encodeVarint(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('no varint');
  const size = value < 0x40 ? 0 : value < 0x4000 ? 1 : value < 0x4000_0000 ? 2 : 3;
  const out = new Uint8Array(1 << size);
  let rest = value;
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  out[0] = (out[0] ?? 0) | (size << 6);
  return out;
}
