import {
  asBytes,
  type Bytes,
  concatBytes,
  copyBytes,
  decodeBase64url,
  decodeHex,
  encodePem,
  MalformedError,
} from '@cloister/bytes';
import { createHmacSha256 } from './hmac.ts';
import type { AesGcm, DhPrivateKey, HpkePrimitives } from './primitives.ts';
import { WEB_PRIMITIVES } from './web-primitives.ts';

// Everything before the key in DER: RFC 8410 for X25519, RFC 9935 for the seed and key of ML-KEM-768.
const X25519_PKCS8 = decodeHex('302e020100300506032b656e04220420');
const X25519_SPKI = decodeHex('302a300506032b656e032100');
const ML_KEM_PKCS8 = decodeHex('3054020100300b060960864801650304040204428040');
const ML_KEM_SPKI = decodeHex('308204b2300b0609608648016503040402038204a100');
const TAG_SIZE = 16;

type Gcm = 'aes-128-gcm' | 'aes-256-gcm';

interface Cipher {
  setAAD(aad: Uint8Array): unknown;
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
}

interface KeyObject {
  export(options: { readonly type: 'spki'; readonly format: 'der' }): Uint8Array;
  export(options: { readonly format: 'jwk' }): { readonly x?: string | undefined };
}

interface Pkcs8<Buf> {
  readonly key: Buf;
  readonly format: 'der';
  readonly type: 'pkcs8';
}

/** What of `node:crypto` is used: the module itself fits. `Buf` is Node's Buffer. */
export interface NodeCrypto<Key extends KeyObject, Buf extends Uint8Array> {
  randomBytes(size: number): Uint8Array;
  hash(algorithm: string, data: Uint8Array, encoding: 'binary'): string;
  createSecretKey(key: Uint8Array): Key;
  createCipheriv(
    algorithm: Gcm,
    key: Key,
    nonce: Uint8Array,
  ): Cipher & { getAuthTag(): Uint8Array };
  createDecipheriv(
    algorithm: Gcm,
    key: Key,
    nonce: Uint8Array,
    options: { readonly authTagLength: number },
  ): Cipher & { setAuthTag(tag: Uint8Array): unknown };
  createPrivateKey(input: Pkcs8<Buf>): Key;
  createPublicKey(input: string | Key): Key;
  generateKeyPairSync(type: 'x25519'): { readonly publicKey: Key; readonly privateKey: Key };
  diffieHellman(keys: { readonly privateKey: Key; readonly publicKey: Key }): Uint8Array;
  encapsulate(key: Key): { readonly ciphertext: Uint8Array; readonly sharedKey: Uint8Array };
  decapsulate(key: Key, ciphertext: Uint8Array): Uint8Array;
}

/**
 * HPKE's primitives on `node:crypto`, for services: synchronous, so that no small operation pays for a
 * hop to another thread, and not experimental, unlike ML-KEM in Node's WebCrypto. Node is an argument:
 * `createNodePrimitives<KeyObject, Buffer>(nodeCrypto, Buffer.from)`. P-256 stays with WebCrypto.
 */
export function createNodePrimitives<Key extends KeyObject, Buf extends Uint8Array>(
  node: NodeCrypto<Key, Buf>,
  toBuffer: (bytes: Bytes) => Buf,
): HpkePrimitives {
  const privateKey = (prefix: Bytes, key: Bytes): Key =>
    node.createPrivateKey({
      key: toBuffer(concatBytes(prefix, key)),
      format: 'der',
      type: 'pkcs8',
    });
  // As PEM: of an object with DER in it Node finds out, slowly, what it is not.
  const publicKey = (prefix: Bytes, key: Bytes): Key =>
    node.createPublicKey(encodePem('PUBLIC KEY', concatBytes(prefix, key)));
  const rawPublic = (prefix: Bytes, key: Key): Bytes =>
    copyBytes(key.export({ type: 'spki', format: 'der' }).subarray(prefix.length));

  const sha256 = (data: Uint8Array): Bytes => bytesOf(node.hash('sha256', data, 'binary'));

  // Reading a key costs as much as using it, and a client uses that of its peer again and again.
  const peers = new WeakMap<Bytes, Key>();
  const peerKey = (bytes: Bytes): Key => {
    const known = peers.get(bytes) ?? publicKey(X25519_SPKI, checkLength(bytes, 32));
    peers.set(bytes, known);
    return known;
  };
  const dhKey = (key: Key): DhPrivateKey => ({
    // By way of a JWK: Node writes DER much more slowly.
    publicKey: checkLength(decodeBase64url(key.export({ format: 'jwk' }).x ?? ''), 32),
    agree: (peer) => copyBytes(node.diffieHellman({ privateKey: key, publicKey: peerKey(peer) })),
  });

  return {
    generateSecret: () => copyBytes(node.randomBytes(32)),
    sha256,
    sha3Of256: (data) => bytesOf(node.hash('sha3-256', data, 'binary')),
    hmacSha256: createHmacSha256(sha256),
    aesGcm: (key) => createAesGcm(node, key),
    x25519: {
      generate: () => dhKey(node.generateKeyPairSync('x25519').privateKey),
      import: (bytes) => dhKey(privateKey(X25519_PKCS8, checkLength(bytes, 32))),
    },
    p256: WEB_PRIMITIVES.p256,
    mlKem768: {
      import(seed) {
        const key = privateKey(ML_KEM_PKCS8, checkLength(seed, 64));
        return {
          publicKey: rawPublic(ML_KEM_SPKI, node.createPublicKey(key)),
          decapsulate: (ciphertext) => copyBytes(node.decapsulate(key, ciphertext)),
        };
      },
      importPublic(bytes) {
        const key = publicKey(ML_KEM_SPKI, checkLength(bytes, 1184));
        return {
          encapsulate() {
            const { ciphertext, sharedKey } = node.encapsulate(key);
            return { ciphertext: copyBytes(ciphertext), sharedSecret: copyBytes(sharedKey) };
          },
        };
      },
    },
  };
}

function createAesGcm<Key extends KeyObject, Buf extends Uint8Array>(
  node: NodeCrypto<Key, Buf>,
  key: Bytes,
): AesGcm {
  const algorithm: Gcm = key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm';
  const secret = node.createSecretKey(key);
  return {
    seal(nonce, aad, pieces) {
      const cipher = node.createCipheriv(algorithm, secret, checkLength(nonce, 12));
      if (aad.length > 0) cipher.setAAD(aad);
      const body = gathered(pieces, (piece) => plain(cipher.update(piece)));
      // GCM keeps nothing back for the end: what is left is the tag.
      cipher.final();
      return [...body, plain(cipher.getAuthTag())];
    },
    open(nonce, aad, pieces) {
      const { body, tag } = splitTag(pieces);
      const options = { authTagLength: TAG_SIZE };
      const cipher = node.createDecipheriv(algorithm, secret, checkLength(nonce, 12), options);
      if (aad.length > 0) cipher.setAAD(aad);
      cipher.setAuthTag(tag);
      const opened = gathered(body, (piece) => plain(cipher.update(piece)));
      // Throws where the tag is wrong, before anybody sees the plaintext.
      cipher.final();
      return opened;
    },
  };
}

/** What stands before the tag, and the tag, which may begin in one piece and end in another. */
function splitTag(pieces: readonly Bytes[]): {
  readonly body: readonly Bytes[];
  readonly tag: Bytes;
} {
  const tag = new Uint8Array(TAG_SIZE);
  const body = [...pieces];
  for (let missing = TAG_SIZE; missing > 0; ) {
    const last = body.pop();
    if (last === undefined) throw new MalformedError('truncated', 'AES-GCM ciphertext');
    const cut = Math.max(0, last.length - missing);
    tag.set(last.subarray(cut), missing - (last.length - cut));
    missing -= last.length - cut;
    if (cut > 0) body.push(last.subarray(0, cut));
  }
  return { body, tag };
}

/** Pieces that are together no longer than this go into one call. */
const GATHERED = 32_768;
const memory = new Uint8Array(GATHERED);

/**
 * What `step` makes of the pieces, of short ones together: each call makes an object of native memory,
 * which costs more than a copy. `step` must not keep what it is given.
 */
function gathered(pieces: readonly Bytes[], step: (piece: Bytes) => Bytes): readonly Bytes[] {
  const made: Bytes[] = [];
  let [length, most] = [0, 0];
  const flush = (): void => {
    if (length > 0) made.push(step(memory.subarray(0, length)));
    most = Math.max(most, length);
    length = 0;
  };
  for (const piece of pieces) {
    if (piece.length > GATHERED - length) flush();
    if (piece.length > GATHERED) made.push(step(piece));
    else {
      memory.set(piece, length);
      length += piece.length;
    }
  }
  flush();
  // It may have been the caller's plaintext: it does not stay here.
  memory.fill(0, 0, most);
  return made;
}

/** The bytes of a digest: as text Node gives it ten times faster than as a Buffer. */
function bytesOf(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The same memory as a plain Uint8Array: `slice` of a Buffer would not copy. */
function plain(bytes: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = asBytes(bytes);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function checkLength(bytes: Bytes, length: number): Bytes {
  if (bytes.length !== length)
    throw new MalformedError('bad_value', `key or nonce of ${length} bytes`);
  return bytes;
}
