import { randomBytes } from 'node:crypto';
import type { VaultAgreement } from '@cloister/attestation';
import {
  concatBytes,
  encodeBase64,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import {
  aesKeyWrapPadded,
  basicConstraintsExtension,
  createCertificate,
  dnsNamesExtension,
  encodeName,
  keyUsageExtension,
  sha256,
  signJws,
  type ExtensionInput,
  type KeyUsage,
} from '@cloister/crypto';

export const AT = new Date('2026-11-24T12:00:00Z');
export const HOST = 'lamna.vault.azure.net';
export const KEY = 'lamna-tenant';
export const VERSION = '0a'.repeat(16);
export const VALUE: Bytes = new Uint8Array(32).fill(7);
export const random = (length: number): Bytes => new Uint8Array(randomBytes(length));

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
} as const;
const DAY = 86_400_000;

/** A key with the certificate over it. */
export interface Holder {
  readonly keys: CryptoKeyPair;
  readonly spki: Bytes;
  readonly name: Bytes;
  readonly der: Bytes;
}

/** What a certificate says, where it is not what a good one says. */
export interface Terms {
  readonly from?: Date;
  readonly until?: Date;
  readonly hosts?: readonly [string, ...string[]];
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly usage?: readonly [KeyUsage, ...KeyUsage[]];
  readonly more?: readonly ExtensionInput[];
  /** Other keys under the same names. */
  readonly keys?: string;
}

/** Keys by what they are for: RSA keys take their time. */
const made = new Map<string, Promise<CryptoKeyPair>>();
const keyPair = (name: string): Promise<CryptoKeyPair> => {
  const known = made.get(name) ?? crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  made.set(name, known);
  return known;
};

/** Certifies a key: as an authority, or as a vault with these host names. */
export async function certify(
  commonName: string,
  issuer: Holder | undefined,
  terms: Terms = {},
): Promise<Holder> {
  const { ca = terms.hosts === undefined, hosts, pathLength, more = [] } = terms;
  const keys = await keyPair(`${commonName} ${terms.keys ?? ''}`);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
  const name = encodeName({ commonName });
  const der = await createCertificate({
    subject: name,
    issuer: issuer?.name ?? name,
    serial: random(8).map((byte) => (byte & 0x3f) | 0x40),
    notBefore: terms.from ?? new Date(AT.getTime() - DAY),
    notAfter: terms.until ?? new Date(AT.getTime() + DAY),
    publicKey: spki,
    signer: (issuer?.keys ?? keys).privateKey,
    extensions: [
      basicConstraintsExtension(pathLength === undefined ? { ca } : { ca, pathLength }),
      keyUsageExtension(...(terms.usage ?? (ca ? ['keyCertSign'] : ['digitalSignature']))),
      ...(hosts === undefined ? [] : [dnsNamesExtension(...hosts)]),
      ...more,
    ],
  });
  return { keys, spki, name, der };
}

/** A vault with its certificates: leaf, an authority below the root, the root. */
export async function makeChain(
  terms: {
    readonly leaf?: Terms;
    readonly middle?: Terms;
    readonly root?: Terms;
    readonly keys?: string;
  } = {},
): Promise<readonly [Holder, Holder, Holder]> {
  const { keys = '' } = terms;
  const root = await certify('root of tests', undefined, { keys, ...terms.root });
  const middle = await certify('authority of tests', root, { keys, ...terms.middle });
  const leaf = await certify(HOST, middle, { keys, hosts: [HOST], ...terms.leaf });
  return [leaf, middle, root];
}

/** The vault as a manifest names it, with this root. */
export async function agreementOn(root: Holder, host: string = HOST): Promise<VaultAgreement> {
  return { url: `https://${host}`, roots: [encodeHex(await sha256(root.spki))] };
}

/** The attested key of a service. */
export function makeEncKey(hash = 'SHA-256'): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ ...RSA, name: 'RSA-OAEP', hash }, true, [
    'encrypt',
    'decrypt',
  ]);
}

/** RSA-OAEP of an AES key, and the value under it. */
export async function wrapFor(to: CryptoKey, value: Bytes = VALUE, aesLength = 32): Promise<Bytes> {
  const ephemeral = random(aesLength);
  const encrypted = await crypto.subtle.encrypt({ name: 'RSA-OAEP' }, to, ephemeral);
  return concatBytes(new Uint8Array(encrypted), await aesKeyWrapPadded(ephemeral, value));
}

/** The payload of a release, as Azure's vaults write it. */
export function payloadOf(ciphertext: Bytes, changes: JsonObject = {}): JsonObject {
  const kid = `https://${HOST}/keys/${KEY}/${VERSION}`;
  const hsm = {
    schema_version: '1.0',
    header: { kid: '', alg: 'dir', enc: 'RSA_AES_KEY_WRAP_256' },
    ciphertext: encodeBase64url(ciphertext),
  };
  return {
    request: { 'api-version': '7.4', enc: 'RSA_AES_KEY_WRAP_256', kid },
    response: {
      key: {
        attributes: { enabled: true, exportable: true, created: 1 },
        key: {
          kid,
          kty: 'oct-HSM',
          key_ops: ['encrypt'],
          key_hsm: encodeBase64url(encodeUtf8(JSON.stringify(hsm))),
        },
        release_policy: { contentType: 'application/json', data: 'e30', immutable: true },
      },
    },
    ...changes,
  };
}

/** Signs a release by the leaf's key, with the chain in its header. */
export function signRelease(
  payload: JsonObject | string,
  chain: readonly Holder[],
  header: JsonObject = {},
): Promise<string> {
  const [leaf] = chain;
  if (leaf === undefined) throw new TypeError('nobody signs');
  return signJws({
    alg: 'RS256',
    key: leaf.keys.privateKey,
    header: { kid: 'k', x5c: chain.map(({ der }) => encodeBase64(der)), ...header },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
}
