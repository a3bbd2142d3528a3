import type { Bytes } from '@cloister/bytes';

const BLOCK = 64;
const DIGEST = 32;
const IPAD = 0x36;
const OPAD = 0x5c;
/** Longer messages than this get memory of their own. */
const KEPT = 4096;

/**
 * HMAC-SHA-256 (RFC 2104) of a hash that is called at one go: a key schedule makes ten of them over a
 * hundred bytes each, and for that Node's HMAC objects take longer than all the hashing.
 */
export function createHmacSha256(
  sha256: (data: Uint8Array) => Bytes,
): (key: Bytes, ...data: readonly Bytes[]) => Bytes {
  const kept = new Uint8Array(BLOCK + KEPT);
  const outer = new Uint8Array(BLOCK + DIGEST);
  return (key, ...data) => {
    const used = key.length > BLOCK ? sha256(key) : key;
    const length = data.reduce((sum, part) => sum + part.length, BLOCK);
    const inner = length > kept.length ? new Uint8Array(length) : kept;
    fillPad(inner, used, IPAD);
    let at = BLOCK;
    for (const part of data) {
      inner.set(part, at);
      at += part.length;
    }
    fillPad(outer, used, OPAD);
    outer.set(sha256(inner.subarray(0, length)), BLOCK);
    const mac = sha256(outer);
    // Key and message are the caller's secrets: they do not stay here.
    inner.fill(0, 0, length);
    outer.fill(0);
    return mac;
  };
}

function fillPad(block: Uint8Array, key: Uint8Array, pad: number): void {
  for (let i = 0; i < key.length; i++) block[i] = (key[i] ?? 0) ^ pad;
  block.fill(pad, key.length, BLOCK);
}
