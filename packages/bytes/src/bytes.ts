/** Bytes backed by a plain ArrayBuffer: what WebCrypto takes and gives. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The given parts, one after the other, in a new array. */
export function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The pieces as one, copied only where there are several. */
export function joinPieces(pieces: readonly Bytes[]): Bytes {
  const [first, ...others] = pieces;
  return first !== undefined && others.length === 0 ? first : concatBytes(...pieces);
}

/** A copy that later writes to the input cannot change. */
export function copyBytes(bytes: Uint8Array): Bytes {
  return new Uint8Array(bytes);
}

/** The same bytes as `Bytes`: without a copy where they lie in an ArrayBuffer already. */
export function asBytes(bytes: Uint8Array): Bytes {
  return isPlain(bytes) ? bytes : copyBytes(bytes);
}

function isPlain(bytes: Uint8Array): bytes is Bytes {
  return bytes.buffer instanceof ArrayBuffer;
}

/**
 * Whether two byte strings are equal, in time that depends on their lengths only.
 * Lengths are not secret.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
