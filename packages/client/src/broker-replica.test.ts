import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeUtf8, type Bytes } from '@cloister/bytes';
import { encryptJwe, parseJwk, type Jwk } from '@cloister/crypto';
import { createHeadScene, type HeadScene } from '../../attestation/src/head/head-scene.test.ts';
import { openStateKey, sealStateKey, type ReleasedStateKey } from './broker-replica.ts';

const NONCE = new Uint8Array(32).fill(3);
const KEY = new Uint8Array(32).fill(9);
const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
let scene: HeadScene;
let pair: CryptoKeyPair;
let enc: Jwk;

before(async () => {
  scene = await createHeadScene();
  pair = await rsa();
  enc = await jwkOf(pair);
});

function rsa(): Promise<CryptoKeyPair> {
  const publicExponent = Uint8Array.of(1, 0, 1);
  const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256', modulusLength: 2048, publicExponent };
  return crypto.subtle.generateKey(algorithm, true, ['encrypt', 'decrypt']);
}

async function jwkOf({ publicKey }: CryptoKeyPair): Promise<Jwk> {
  const { kty = '', n = '', e = '' } = await crypto.subtle.exportKey('jwk', publicKey);
  return parseJwk({ kty, n, e });
}

interface Changes {
  readonly said?: Partial<ReleasedStateKey>;
  readonly brokerKey?: CryptoKey;
  readonly party?: string;
  readonly decryptKey?: CryptoKey;
  readonly jwe?: string;
}

async function open(changes: Changes = {}): Promise<string> {
  const statement = {
    deployment: 'lamna',
    party: 'hospital',
    manifest: scene.manifest.id,
    nonce: NONCE,
    key: KEY,
    ...changes.said,
  };
  const brokerKey = changes.brokerKey ?? scene.hospital.privateKey;
  const jwe = changes.jwe ?? (await sealStateKey(statement, { brokerKey, enc, random }));
  const verdict = await openStateKey(jwe, {
    manifest: scene.manifest,
    party: changes.party ?? 'hospital',
    nonce: NONCE,
    decryptKey: changes.decryptKey ?? pair.privateKey,
  });
  if (verdict.ok) assert.deepEqual(verdict.claims, KEY);
  return verdict.ok ? 'ok' : verdict.code;
}

async function foreign(): Promise<CryptoKey> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])).privateKey;
}

describe('openStateKey', () => {
  it('takes what the broker of the own party gave for this request', async () => {
    assert.equal(await open(), 'ok');
  });

  const refusals: Readonly<Record<string, readonly [string, () => Promise<string>]>> = {
    'another key to decrypt with': [
      'secret_not_for_us',
      async () => open({ decryptKey: (await rsa()).privateKey }),
    ],
    'another signer': ['sender_foreign', async () => open({ brokerKey: await foreign() })],
    'a party without a broker': ['broker_unknown', () => open({ party: 'nobody' })],
    'another party': ['statement_of_another', () => open({ said: { party: 'diagnostics' } })],
    'another deployment': ['statement_of_another', () => open({ said: { deployment: 'x' } })],
    'another manifest': [
      'statement_of_another',
      () => open({ said: { manifest: '00'.repeat(32) } }),
    ],
    'another nonce': ['nonce_mismatch', () => open({ said: { nonce: new Uint8Array(32) } })],
    'a JWE of another sort': [
      'secret_not_for_us',
      async () => open({ jwe: await encryptJwe({ key: enc, plaintext: KEY, random }) }),
    ],
    'what is no JWE': ['secret_not_for_us', () => open({ jwe: 'a.b.c.d.e' })],
    'what is not signed': [
      'sender_foreign',
      async () => {
        const header = { typ: 'cloister-state-key+jwe' };
        const plaintext = Uint8Array.of(0xff, 0xfe);
        return open({ jwe: await encryptJwe({ key: enc, header, plaintext, random }) });
      },
    ],
    'a bare key': [
      'sender_foreign',
      async () => {
        const header = { typ: 'cloister-state-key+jwe' };
        const plaintext = encodeUtf8('{"key":"AA"}');
        return open({ jwe: await encryptJwe({ key: enc, header, plaintext, random }) });
      },
    ],
  };
  for (const [title, [code, attempt]] of Object.entries(refusals))
    it(`refuses ${title}`, async () => assert.equal(await attempt(), code));
});
