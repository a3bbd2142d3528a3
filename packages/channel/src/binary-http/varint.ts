import type { Bytes } from '@cloister/bytes';

/** How many bytes a variable-length integer has that begins so (RFC 9000 section 16). */
export function varintSize(first: number): 1 | 2 | 4 | 8 {
  const size = first >> 6;
  return size === 0 ? 1 : size === 1 ? 2 : size === 2 ? 4 : 8;
}

/** The integer of its first byte and the others; undefined where no number holds it exactly. */
export function varintOf(first: Uint8Array, others: Uint8Array | undefined): number | undefined {
  let value = (first[0] ?? 0) & 0x3f;
  for (const byte of others ?? []) value = value * 256 + byte;
  // Beyond 2^53 a number no longer holds it, and no message is that long.
  return Number.isSafeInteger(value) ? value : undefined;
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
