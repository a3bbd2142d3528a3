import {
  asBytes,
  concatBytes,
  equalBytes,
  isZero,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';

const ICV = new Uint8Array(8).fill(0xa6);
const PADDED_ICV = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);
const [SEMIBLOCK, BLOCK] = [8, 16];
/** More than any key needs; each semiblock costs six passes of one block. */
const MAX_WRAPPED = 65_536;

/** Wraps a key with AES-KW (RFC 3394): 16 bytes or more, a multiple of 8. RangeError for others. */
export async function aesKeyWrap(kek: Uint8Array, key: Uint8Array): Promise<Bytes> {
  if (key.length < BLOCK || key.length % SEMIBLOCK !== 0 || key.length > MAX_WRAPPED) {
    throw new RangeError('AES-KW wraps 16 bytes or more, a multiple of 8');
  }
  const cipher = await importKek(kek);
  return wrap(cipher, ICV, asBytes(key));
}

/** Unwraps AES-KW (RFC 3394). MalformedError where it was not wrapped with this key, or changed. */
export async function aesKeyUnwrap(kek: Uint8Array, wrapped: Uint8Array): Promise<Bytes> {
  if (wrapped.length < 3 * SEMIBLOCK) throw new MalformedError('truncated', 'AES-KW');
  const { icv, key } = await unwrap(await importKek(kek), wrapped, 'AES-KW');
  if (!equalBytes(icv, ICV)) throw new MalformedError('bad_value', 'AES-KW');
  return key;
}

/** Wraps a key of any length from one byte with AES-KWP (RFC 5649). RangeError for an empty one. */
export async function aesKeyWrapPadded(kek: Uint8Array, key: Uint8Array): Promise<Bytes> {
  if (key.length === 0 || key.length > MAX_WRAPPED) throw new RangeError('AES-KWP: key length');
  const cipher = await importKek(kek);
  const icv = new Uint8Array(SEMIBLOCK);
  icv.set(PADDED_ICV);
  new DataView(icv.buffer).setUint32(4, key.length);
  const padded = new Uint8Array(Math.ceil(key.length / SEMIBLOCK) * SEMIBLOCK);
  padded.set(key);
  // RFC 5649, section 4.1: one semiblock is encrypted as one block.
  if (padded.length === SEMIBLOCK) return encryptBlock(cipher, concatBytes(icv, padded));
  return wrap(cipher, icv, padded);
}

/** Unwraps AES-KWP (RFC 5649). MalformedError where it was not wrapped with this key, or changed. */
export async function aesKeyUnwrapPadded(kek: Uint8Array, wrapped: Uint8Array): Promise<Bytes> {
  const name = 'AES-KWP';
  if (wrapped.length < BLOCK) throw new MalformedError('truncated', name);
  const cipher = await importKek(kek);
  const { icv, key } =
    wrapped.length === BLOCK
      ? splitIcv(await decryptBlock(cipher, asBytes(wrapped)))
      : await unwrap(cipher, wrapped, name);
  const length = new DataView(icv.buffer, icv.byteOffset).getUint32(4);
  // RFC 5649, section 3: all checks are made before the one answer.
  const right =
    [
      equalBytes(icv.subarray(0, 4), PADDED_ICV),
      length > key.length - SEMIBLOCK && length <= key.length,
      isZero(key.subarray(Math.min(length, key.length))),
    ].filter(Boolean).length === 3;
  if (!right) throw new MalformedError('bad_value', name);
  return key.slice(0, length);
}

/** W of NIST SP 800-38F (RFC 3394, section 2.2.1, index based). */
async function wrap(cipher: CryptoKey, icv: Bytes, key: Bytes): Promise<Bytes> {
  const out = concatBytes(icv, key);
  const blocks = key.length / SEMIBLOCK;
  for (let t = 1; t <= 6 * blocks; t++) {
    const at = SEMIBLOCK * (((t - 1) % blocks) + 1);
    const mixed = await encryptBlock(
      cipher,
      concatBytes(out.subarray(0, SEMIBLOCK), out.subarray(at, at + SEMIBLOCK)),
    );
    addCounter(mixed, t);
    out.set(mixed.subarray(0, SEMIBLOCK));
    out.set(mixed.subarray(SEMIBLOCK), at);
  }
  return out;
}

/** The inverse of W (RFC 3394, section 2.2.2, index based). */
async function unwrap(
  cipher: CryptoKey,
  wrapped: Uint8Array,
  name: string,
): Promise<{ icv: Bytes; key: Bytes }> {
  if (wrapped.length > MAX_WRAPPED + SEMIBLOCK) throw new MalformedError('too_large', name);
  if (wrapped.length % SEMIBLOCK !== 0) throw new MalformedError('truncated', name);
  const out = new Uint8Array(wrapped);
  const blocks = wrapped.length / SEMIBLOCK - 1;
  for (let t = 6 * blocks; t >= 1; t--) {
    const at = SEMIBLOCK * (((t - 1) % blocks) + 1);
    const mixed = concatBytes(out.subarray(0, SEMIBLOCK), out.subarray(at, at + SEMIBLOCK));
    addCounter(mixed, t);
    const plain = await decryptBlock(cipher, mixed);
    out.set(plain.subarray(0, SEMIBLOCK));
    out.set(plain.subarray(SEMIBLOCK), at);
  }
  return splitIcv(out);
}

function splitIcv(block: Bytes): { icv: Bytes; key: Bytes } {
  return { icv: block.slice(0, SEMIBLOCK), key: block.slice(SEMIBLOCK) };
}

/** XORs the step's number into the first semiblock. */
function addCounter(block: Bytes, t: number): void {
  const view = new DataView(block.buffer);
  view.setUint32(4, (view.getUint32(4) ^ t) >>> 0);
}

function importKek(kek: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', asBytes(kek), 'AES-CBC', false, ['encrypt', 'decrypt']);
}

const ZERO_IV = new Uint8Array(BLOCK);
const PADDING = new Uint8Array(BLOCK).fill(BLOCK);

/** AES of one block. WebCrypto has no ECB, but CBC's first block under a zero IV is the same. */
async function encryptBlock(cipher: CryptoKey, block: Bytes): Promise<Bytes> {
  const out = await crypto.subtle.encrypt({ name: 'AES-CBC', iv: ZERO_IV }, cipher, block);
  return new Uint8Array(out).slice(0, BLOCK);
}

/** Inverse AES of one block, by CBC with a second block that decrypts to the padding CBC asks for. */
async function decryptBlock(cipher: CryptoKey, block: Bytes): Promise<Bytes> {
  const second = await encryptBlock(
    cipher,
    block.map((byte, i) => byte ^ (PADDING[i] ?? 0)),
  );
  const algorithm = { name: 'AES-CBC', iv: ZERO_IV };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, cipher, concatBytes(block, second)));
}
