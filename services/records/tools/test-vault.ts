/** A vault that releases keys as Azure's do, in this process: for tests. Not part of the service. */
import { constants, createHash, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import type { EvidenceEnvelope, VaultAgreement } from '@cloister/attestation';
import {
  concatBytes,
  decodeUtf8,
  encodeBase64,
  encodeBase64url,
  encodeUtf8,
  isJsonObject,
  parseJsonObject,
  type Bytes,
} from '@cloister/bytes';
import {
  aesKeyWrapPadded,
  basicConstraintsExtension,
  createCertificate,
  dnsNamesExtension,
  encodeName,
  keyUsageExtension,
  parseJwk,
  parseJws,
  signJws,
} from '@cloister/crypto';

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
} as const;
const DAY = 86_400_000;
export const VAULT_HOST = 'lamna.vault.azure.net';
const URL_OF_VAULT = `https://${VAULT_HOST}`;

/** What the vault holds and does; to be changed by tests. */
export interface TestVault {
  readonly agreement: VaultAgreement;
  /** Values by key and version: `name/version`. */
  readonly keys: Map<string, Bytes>;
  /** Answers this instead, where it gives something. */
  answer: (request: Request) => Response | undefined;
  /** Paths of the releases that were asked for, and the tokens shown. */
  readonly asked: { readonly path: string; readonly token: string }[];
  readonly transport: (request: Request) => Promise<Response>;
}

/** Opens a vault; its certificates are of this day. */
export async function createTestVault(at: Date): Promise<TestVault> {
  const [root, leaf] = await Promise.all(
    [0, 1].map(() => crypto.subtle.generateKey(RSA, true, ['sign', 'verify'])),
  );
  if (root === undefined || leaf === undefined) throw new TypeError('no keys');
  const [rootSpki, leafSpki] = await Promise.all([root, leaf].map(spkiOf));
  if (rootSpki === undefined || leafSpki === undefined) throw new TypeError('no keys');
  const name = encodeName({ commonName: 'root of tests' });
  const validity = {
    notBefore: new Date(at.getTime() - DAY),
    notAfter: new Date(at.getTime() + DAY),
  };
  const common = { issuer: name, serial: '01', ...validity, signer: root.privateKey };
  const rootDer = await createCertificate({
    ...common,
    subject: name,
    publicKey: rootSpki,
    extensions: [basicConstraintsExtension({ ca: true }), keyUsageExtension('keyCertSign')],
  });
  const leafDer = await createCertificate({
    ...common,
    subject: encodeName({ commonName: VAULT_HOST }),
    publicKey: leafSpki,
    extensions: [
      basicConstraintsExtension({ ca: false }),
      keyUsageExtension('digitalSignature'),
      dnsNamesExtension(VAULT_HOST),
    ],
  });
  const x5c = [leafDer, rootDer].map((der) => encodeBase64(der));
  const vault: TestVault = {
    agreement: {
      url: URL_OF_VAULT,
      roots: [createHash('sha256').update(rootSpki).digest('hex')],
    },
    keys: new Map(),
    asked: [],
    answer: () => undefined,
    async transport(request) {
      const { pathname } = new URL(request.url);
      const body = parseJsonObject(await request.clone().text());
      const { target } = body;
      const token = typeof target === 'string' ? target : '';
      vault.asked.push({ path: pathname, token });
      const other = vault.answer(request);
      if (other !== undefined) return other;
      const path = pathname.replace(/^\/keys\//, '').replace(/\/release$/, '');
      const value = vault.keys.get(path);
      if (value === undefined) return Response.json({ error: {} }, { status: 404 });
      const kid = `${URL_OF_VAULT}/keys/${path}`;
      const ciphertext = await wrapFor(token, value);
      const payload = {
        request: { 'api-version': '7.4', enc: body['enc'], nonce: body['nonce'], kid },
        response: {
          key: {
            key: { kid, kty: 'oct-HSM', key_hsm: encode({ ciphertext }) },
            release_policy: { contentType: 'application/json', data: 'e30', immutable: true },
          },
        },
      };
      const jws = { alg: 'RS256', key: leaf.privateKey, header: { x5c } } as const;
      return Response.json({ value: await signJws({ ...jws, payload: JSON.stringify(payload) }) });
    },
  };
  return vault;
}

/** Wraps for the `enc` key that the token's runtime data name; the token's signature is not looked at. */
async function wrapFor(token: string, value: Bytes): Promise<string> {
  const claims = parseJsonObject(decodeUtf8(parseJws(token).payload));
  const runtime = claims['x-ms-runtime'];
  const keys = isJsonObject(runtime) && Array.isArray(runtime['keys']) ? runtime['keys'] : [];
  const enc = keys.filter(isJsonObject).find(({ use }) => use === 'enc');
  const { kty, n, e } = parseJwk(enc ?? null);
  const key = createPublicKey({ format: 'jwk', key: { kty, n: n ?? '', e: e ?? '' } });
  const ephemeral = randomBytes(32);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const encrypted = publicEncrypt({ key, padding, oaepHash: 'sha256' }, ephemeral);
  return encodeBase64url(concatBytes(encrypted, await aesKeyWrapPadded(ephemeral, value)));
}

function encode(value: object): string {
  return encodeBase64url(encodeUtf8(JSON.stringify(value)));
}

async function spkiOf({ publicKey }: CryptoKeyPair): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
}

/** A new identity with a token over its keys and a nonce, as the attestation service would give it. */
export async function createTestIdentity(): Promise<{
  readonly encKey: CryptoKeyPair;
  evidence(nonce?: Bytes): Promise<EvidenceEnvelope>;
}> {
  const encKey = await crypto.subtle.generateKey({ ...RSA, name: 'RSA-OAEP' }, false, [
    'encrypt',
    'decrypt',
  ]);
  const { n, e } = await crypto.subtle.exportKey('jwk', encKey.publicKey);
  return {
    encKey,
    evidence: (nonce = new Uint8Array()) => {
      const keys = [{ use: 'enc', kty: 'RSA', n, e }];
      const claims = { 'x-ms-runtime': { keys, nonce: encodeBase64url(nonce) } };
      const token = `${encode({ alg: 'ES256' })}.${encode(claims)}.AAAA`;
      const none = new Uint8Array();
      const tokens = [token];
      return Promise.resolve({
        format: 'simulated-sgx-quote',
        evidence: none,
        runtimeData: none,
        tokens,
      });
    },
  };
}
