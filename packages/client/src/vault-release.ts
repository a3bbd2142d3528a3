import { CheckList, type Verification } from '@cloister/attestation';
import {
  decodeBase64,
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import {
  aesKeyUnwrapPadded,
  importVerifyKey,
  parseJws,
  verifyJws,
  type Certificate,
} from '@cloister/crypto';
import { objectOf, optionalTextOf, textOf, textsOf } from './fields.ts';
import { SIGNER_CHECKS, verifyVaultSigner, type VaultTrust } from './vault-signer.ts';

/** How a vault wraps what it releases, by the hash of OAEP (spec/key-broker.md 2.5). */
const WRAPPINGS: Readonly<Record<string, string>> = {
  'SHA-1': 'CKM_RSA_AES_KEY_WRAP',
  'SHA-256': 'RSA_AES_KEY_WRAP_256',
  'SHA-384': 'RSA_AES_KEY_WRAP_384',
};

/** The wrapping that a key opens; TypeError where it opens none. */
export function wrappingFor({ algorithm }: CryptoKey): string {
  const { name } = algorithm;
  const hash = 'hash' in algorithm ? algorithm.hash : undefined;
  const hashName = typeof hash === 'object' && hash !== null && 'name' in hash ? hash.name : '';
  const wrapping = name === 'RSA-OAEP' ? WRAPPINGS[String(hashName)] : undefined;
  if (wrapping === undefined) throw new TypeError('a key that unwraps nothing');
  return wrapping;
}

/** What was asked of a vault, and by whom its answer is judged. */
export interface VaultReleaseRequest extends VaultTrust {
  /** The key's name and the version's id. */
  readonly key: string;
  readonly version: string;
  /** The attested `enc` key; a new one for each release, or a kept answer opens again. */
  readonly decryptKey: CryptoKey;
  readonly nonce: Bytes;
}

/** A key that a vault released. */
export interface VaultRelease {
  readonly value: Bytes;
  /** Whether the vault says that nobody can change the key's release policy any more. */
  readonly immutable: boolean;
}

const CHECKS = [
  'form of the release',
  ...SIGNER_CHECKS,
  'signed by the vault',
  'form of what is signed',
  'the key that was asked for',
  'wrapped as asked',
  'answer to our nonce',
  'wrapped to our key',
] as const;
const MAX_LENGTH = 128 * 1024;
const LIMITS = { maxDepth: 12, maxLength: MAX_LENGTH } as const;

/**
 * Opens what a vault released (spec/key-broker.md 2.5), in the place of rule 6 of design 2.1: signed
 * by a key that certificates give to the host that the manifest names, under an authority that it
 * pins; the key and version that were asked for; wrapped as asked, to our key. Every check is
 * listed; the value exists only where none failed.
 */
export async function openVaultRelease(
  jws: string,
  request: VaultReleaseRequest,
): Promise<Verification<VaultRelease>> {
  const list = new CheckList();
  const refuse = (): Verification<never> => {
    list.skipRest(CHECKS);
    return list.refusal();
  };
  const chain = readChain(jws);
  const isRelease = chain !== undefined;
  if (!list.expect('form of the release', isRelease, 'release_malformed') || !isRelease)
    return refuse();
  const leaf = await verifyVaultSigner(chain, request, list);
  if (leaf === undefined) return refuse();
  const payload = await signedBy(leaf, jws);
  const isSigned = payload !== undefined;
  if (!list.expect('signed by the vault', isSigned, 'release_not_signed') || !isSigned)
    return refuse();
  const said = readPayload(payload);
  const isRead = said !== undefined;
  if (!list.expect('form of what is signed', isRead, 'release_malformed') || !isRead)
    return refuse();
  const { vault, key, version, decryptKey } = request;
  const name = `${vault.url}/keys/${key}`;
  const kid = `${name}/${version}`;
  // The request may be repeated as it was sent, or by the key alone; what is released is one version.
  const asked = said.kid === kid && [kid, name].includes(said.requestKid);
  if (!list.expect('the key that was asked for', asked, 'release_of_another')) return refuse();
  const wrapped = said.enc === wrappingFor(decryptKey);
  if (!list.expect('wrapped as asked', wrapped, 'release_wrapping')) return refuse();
  if (said.nonce === undefined) list.skip('answer to our nonce', 'the vault repeats none');
  else {
    const answers = said.nonce === encodeBase64url(request.nonce);
    if (!list.expect('answer to our nonce', answers, 'nonce_mismatch')) return refuse();
  }
  const value = await unwrap(said.ciphertext, decryptKey);
  const isOurs = value !== undefined;
  if (!list.expect('wrapped to our key', isOurs, 'release_not_for_us') || !isOurs) return refuse();
  return list.result({ value, immutable: said.immutable });
}

/** The certificates of the header, as they stand there; undefined where it is no release. */
function readChain(jws: string): readonly Bytes[] | undefined {
  if (jws.length > MAX_LENGTH) return undefined;
  return orMalformed(() => {
    const { header } = parseJws(jws);
    return textsOf(header, 'x5c').map((text) => decodeBase64(text, 'x5c'));
  });
}

async function signedBy(leaf: Certificate, jws: string): Promise<Bytes | undefined> {
  let key: CryptoKey;
  try {
    key = await importVerifyKey(leaf.spki, 'rsa-pkcs1-sha256');
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
  const verdict = await verifyJws(jws, { key, algs: ['RS256'] });
  return verdict.ok ? verdict.payload : undefined;
}

interface Said {
  readonly requestKid: string;
  readonly enc: string;
  readonly nonce: string | undefined;
  readonly kid: string;
  readonly ciphertext: Bytes;
  readonly immutable: boolean;
}

function readPayload(payload: Bytes): Said | undefined {
  return orMalformed(() => {
    const said = read(payload);
    const request = objectOf(said, 'request');
    const released = objectOf(objectOf(said, 'response'), 'key');
    const key = objectOf(released, 'key');
    const hsm = read(decodeBase64url(textOf(key, 'key_hsm'), 'key_hsm'));
    const policy = objectOf(released, 'release_policy');
    return {
      requestKid: textOf(request, 'kid'),
      enc: textOf(request, 'enc'),
      nonce: optionalTextOf(request, 'nonce'),
      kid: textOf(key, 'kid'),
      ciphertext: decodeBase64url(textOf(hsm, 'ciphertext'), 'ciphertext'),
      immutable: policy['immutable'] === true,
    };
  });
}

function read(bytes: Bytes): JsonObject {
  return parseJsonObject(decodeUtf8(bytes, 'release'), 'release', LIMITS);
}

/** RSA-OAEP of an AES key, then the released key under AES-KWP; undefined where it is not for us. */
async function unwrap(ciphertext: Bytes, decryptKey: CryptoKey): Promise<Bytes | undefined> {
  const { algorithm } = decryptKey;
  const bits = 'modulusLength' in algorithm ? Number(algorithm.modulusLength) : 0;
  const length = Math.ceil(bits / 8);
  let ephemeral: Bytes;
  try {
    const encrypted = ciphertext.slice(0, length);
    const opened = await crypto.subtle.decrypt({ name: 'RSA-OAEP' }, decryptKey, encrypted);
    ephemeral = new Uint8Array(opened);
  } catch (error) {
    // WebCrypto's one word for what does not decrypt.
    if (error instanceof DOMException) return undefined;
    throw error;
  }
  if (ephemeral.length !== 32) return undefined;
  try {
    return await aesKeyUnwrapPadded(ephemeral, ciphertext.subarray(length));
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  } finally {
    ephemeral.fill(0);
  }
}

function orMalformed<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
