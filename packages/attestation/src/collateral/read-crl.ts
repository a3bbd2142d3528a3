import {
  asBytes,
  decodeHex,
  decodePem,
  decodeUtf8,
  DER,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';

const PEM = 0x2d; // a dash

/**
 * The DER of a CRL as servers give it: DER, hex text (a PCCS), or PEM. Which one it is shows in the
 * first byte; MalformedError for all else.
 */
export function readCrl(body: Uint8Array, name: string): Bytes {
  const first = body[0];
  // Hex of DER begins with the digit 3, which is another byte.
  if (first === DER.SEQUENCE) return asBytes(body);
  const text = decodeUtf8(body, name).trim();
  if (first !== PEM) return decodeHex(text, name);
  const [der, ...more] = decodePem(text, 'X509 CRL', name);
  if (der === undefined || more.length > 0) throw new MalformedError('bad_value', name);
  return der;
}
