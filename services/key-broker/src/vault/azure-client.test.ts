import assert from 'node:assert/strict';
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  X509Certificate,
  verify,
} from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { KeyClient, type JsonWebKey } from '@azure/keyvault-keys';
import {
  decodeUtf8,
  encodeUtf8,
  parseJsonObject,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { signPartyStatement } from '@cloister/client';
import { aesKeyUnwrapPadded, parseJws } from '@cloister/crypto';
import type { Serving } from '@cloister/service';
import { serveVault } from '../serve-vault.ts';
import {
  createWorld,
  ISSUER,
  publicJwk,
  random,
  rsa,
  type RunningBroker,
  type World,
} from '../scene.test.ts';

const SECRETS = {
  'model-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
  'rsa-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
  'hospital-key': { owner: 'hospital', type: 'imported', to: ['records'] },
  'made-key': { owner: 'diagnostics', type: 'aes256', to: ['inference'] },
};

let world: World;
let running: RunningBroker;
let serving: Serving;
let enclave: CryptoKeyPair;
let runtimeData: Bytes;
before(async () => {
  world = await createWorld({ secrets: SECRETS });
  running = world.running.get('diagnostics') ?? assert.fail();
  serving = await serveVault(running.vault, running.signer, { port: 0, host: '127.0.0.1' });
  // A foreign enclave: its runtime data are Azure's, not ours.
  enclave = await rsa();
  const { n = '', e = '' } = await publicJwk(enclave);
  const key = { kty: 'RSA', n, e, kid: 'TpmEphemeralEncryptionKey', key_ops: ['encrypt'] };
  runtimeData = encodeUtf8(JSON.stringify({ keys: [key] }));
});
after(async () => {
  await serving.close();
  await world.close();
});

/** The owner's word in a bearer token, for these keys. */
async function ownersWord(keys: readonly string[], changes: JsonObject = {}): Promise<string> {
  const said = {
    purpose: 'vault-import' as const,
    party: 'diagnostics',
    manifest: world.manifest.id,
    keys: [...keys],
    exp: world.at.getTime() / 1000 + 600,
    ...changes,
  };
  const { keys: all } = world.voice('diagnostics');
  return (await Promise.all(all.map((key) => signPartyStatement(said, key)))).join('~');
}

/** The unmodified client of Azure; only its check of the resource's domain is off. */
function clientWith(token: () => Promise<string>): KeyClient {
  const credential = {
    getToken: async () => ({ token: await token(), expiresOnTimestamp: Date.now() + 600_000 }),
  };
  const url = `https://localhost:${new URL(serving.url).port}`;
  return new KeyClient(url, credential, {
    disableChallengeResourceVerification: true,
    retryOptions: { maxRetries: 0 },
    tlsOptions: { ca: new X509Certificate(running.signer.chain[1] ?? assert.fail()).toString() },
  });
}
const owner = () => clientWith(() => ownersWord(Object.keys(SECRETS)));
const anybody = () => clientWith(() => Promise.resolve('whoever'));

const POLICY = {
  version: '1.0.0',
  anyOf: [
    {
      authority: ISSUER,
      allOf: [
        { claim: 'x-ms-attestation-type', equals: 'simulated' },
        { claim: 'x-ms-sgx-is-debuggable', equals: 'false' },
        { claim: 'x-ms-sgx-svn', greaterOrEquals: 1 },
      ],
    },
  ],
};
const importKey = (client: KeyClient, name: string, key: JsonWebKey, policy: object = POLICY) =>
  client.importKey(name, key, {
    hardwareProtected: true,
    exportable: true,
    releasePolicy: { encodedPolicy: encodeUtf8(JSON.stringify(policy)), immutable: true },
  });
const token = (changes: JsonObject = {}, mrenclave?: string) =>
  world.token('inference', runtimeData, mrenclave, changes);

/** What a consumer of the live service does with an answer: chain, signature, unwrapping. */
async function openRelease(
  value: string,
  oaepHash = 'sha1',
): Promise<{ bytes: Uint8Array; payload: JsonObject }> {
  const { header, payload, signingInput, signature } = parseJws(value);
  const chain = (header['x5c'] as string[]).map(
    (der) => new X509Certificate(Buffer.from(der, 'base64')),
  );
  const [leaf, root] = chain;
  assert.ok(leaf && root);
  assert.ok(leaf.checkHost('localhost'), 'the vault by its host name');
  assert.ok(leaf.verify(root.publicKey) && root.verify(root.publicKey));
  assert.ok(leaf.checkIssued(root));
  assert.equal(header['alg'], 'RS256');
  assert.ok(verify('sha256', signingInput, leaf.publicKey, signature));
  const json = parseJsonObject(decodeUtf8(payload));
  const { key } = (json['response'] as JsonObject)['key'] as { key: JsonObject };
  const hsm = parseJsonObject(Buffer.from(textOf(key['key_hsm']), 'base64url').toString('utf8'));
  const ciphertext = Buffer.from(textOf(hsm['ciphertext']), 'base64url');
  const wrapped = ciphertext.subarray(256);
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', enclave.privateKey));
  const key8 = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const ephemeral = privateDecrypt({ key: key8, padding, oaepHash }, ciphertext.subarray(0, 256));
  return { bytes: await aesKeyUnwrapPadded(ephemeral, wrapped), payload: json };
}

function textOf(value: JsonValue | undefined): string {
  assert.equal(typeof value, 'string');
  return value as string;
}

/** The code and the message of a refusal. */
async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    const { statusCode, message } = error as { statusCode?: number; message: string };
    return `${statusCode} ${message}`;
  }
}

describe('the unmodified @azure/keyvault-keys', () => {
  const value = random(32);

  it('imports a key with its release policy, by the word of its owner', async () => {
    const key = await importKey(owner(), 'model-key', { kty: 'oct', k: value });
    assert.equal(key.name, 'model-key');
    assert.equal(key.keyType, 'oct-HSM');
    assert.match(key.properties.version ?? '', /^0{31}1$/);
    assert.equal(key.properties.exportable, true);
    assert.equal(key.key?.k, undefined);
    const { state } = running.broker.requireOpen().journal;
    assert.equal(state.secret('model-key').newest, 1);
  });

  for (const [algorithm, oaepHash] of [
    ['CKM_RSA_AES_KEY_WRAP', 'sha1'],
    ['RSA_AES_KEY_WRAP_256', 'sha256'],
    ['RSA_AES_KEY_WRAP_384', 'sha384'],
  ] as const)
    it(`has a key released to a token, wrapped by ${algorithm}`, async () => {
      const options = { algorithm, nonce: 'a nonce' } as const;
      const released = await anybody().releaseKey('model-key', await token(), options);
      const { bytes, payload } = await openRelease(released.value, oaepHash);
      assert.deepEqual(bytes, value);
      const request = payload['request'] as JsonObject;
      assert.equal(request['enc'], algorithm);
      assert.equal(request['nonce'], 'a nonce');
      const policy = ((payload['response'] as JsonObject)['key'] as JsonObject)['release_policy'];
      const data = textOf((policy as JsonObject)['data']);
      assert.deepEqual(JSON.parse(Buffer.from(data, 'base64url').toString()), POLICY);
    });

  it('releases versions, and an RSA key as PKCS #8', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = privateKey.export({ format: 'jwk' });
    const members = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const;
    const bytesOf = members.map((name) => [name, Buffer.from(jwk[name] ?? '', 'base64url')]);
    const imported = await importKey(owner(), 'rsa-key', {
      kty: 'RSA',
      ...Object.fromEntries(bytesOf),
    } as JsonWebKey);
    assert.equal(imported.keyType, 'RSA-HSM');
    const version = imported.properties.version ?? '';
    const got = await anybody().getKey('rsa-key', { version });
    assert.deepEqual(Buffer.from(got.key?.n ?? []), Buffer.from(jwk.n ?? '', 'base64url'));
    assert.equal(got.key?.d, undefined);
    const released = await anybody().releaseKey('rsa-key', await token(), { version });
    const { bytes } = await openRelease(released.value);
    const key = createPrivateKey({ key: Buffer.from(bytes), format: 'der', type: 'pkcs8' });
    assert.ok(createPublicKey(key).equals(publicKey));
    const none = anybody().releaseKey('rsa-key', await token(), { version: '0'.repeat(31) + '9' });
    assert.match(await refusal(none), /^404 /);
  });

  it('is told no where the token is not one: expired, by another issuer, of other code', async () => {
    const other = crypto.randomUUID();
    for (const [target, expected] of [
      [await token({ exp: world.at.getTime() / 1000 - 61 }), /token_expired/],
      [await token({ iss: 'https://other.example' }), /token_issuer/],
      [await token({ 'x-ms-sgx-is-debuggable': true }), /policy\.debug/],
      [await token({}, 'ee'.repeat(32)), /measurement_not_agreed/],
      [await token({ 'x-ms-attestation-type': 'sgx' }), /token_kind/],
      [await token({ 'x-ms-runtime': {} }), /wrapping_key_missing/],
      [await token({ 'x-ms-sgx-svn': 0 }), /svn_too_low/],
      [`${other}.${other}.${other}`, /token_malformed/],
    ] as const) {
      const answer = await refusal(anybody().releaseKey('model-key', target));
      assert.match(answer, /^403 /);
      assert.match(answer, expected);
    }
  });

  it('is told no where the policy narrows further than the manifest', async () => {
    const narrow = {
      ...POLICY,
      anyOf: [{ authority: ISSUER, allOf: [{ claim: 'x-ms-sgx-svn', greater: 1 }] }],
    };
    await importKey(owner(), 'model-key', { kty: 'oct', k: random(32) }, narrow);
    const answer = await refusal(anybody().releaseKey('model-key', await token()));
    assert.match(answer, /release policy is not satisfied/);
    const version = '1'.padStart(32, '0');
    const earlier = await anybody().releaseKey('model-key', await token(), { version });
    assert.deepEqual((await openRelease(earlier.value)).bytes, value);
  });

  it('is told no where the host changed the policy', async () => {
    const { store, broker } = running;
    const [{ policy = '' } = {}] = broker.requireOpen().journal.state.secret('model-key').versions;
    const key = `policy/${policy}`;
    const stored = await store.value(key);
    const easy = {
      version: '1.0.0',
      anyOf: [{ authority: ISSUER, allOf: [{ claim: 'iss', exists: true }] }],
    };
    const values = [{ key, version: stored.version, value: encodeUtf8(JSON.stringify(easy)) }];
    await store.commit({ values });
    const version = '1'.padStart(32, '0');
    const answer = await refusal(anybody().releaseKey('model-key', await token(), { version }));
    assert.match(answer, /not the one of the log/);
    await store.commit({ values: [{ key, version: stored.version + 1, value: stored.value }] });
  });

  it('imports nothing without the word of the owner', async () => {
    const key = { kty: 'oct', k: random(32) } as const;
    for (const [client, name, expected] of [
      [anybody(), 'model-key', /^401 /],
      [clientWith(() => ownersWord(['rsa-key'])), 'model-key', /^403 /],
      [clientWith(() => ownersWord(['model-key'], { exp: 1 })), 'model-key', /^401 /],
      [clientWith(() => ownersWord(['model-key'], { party: 'hospital' })), 'model-key', /^401 /],
      [
        clientWith(() => ownersWord(['model-key'], { purpose: 'import-secret' })),
        'model-key',
        /^401 /,
      ],
      [owner(), 'hospital-key', /^404 /],
      [owner(), 'made-key', /^409 /],
      [clientWith(() => ownersWord(['none'])), 'none', /^404 /],
    ] as const)
      assert.match(await refusal(importKey(client, name, key)), expected, name);
  });

  it('imports nothing that could not be released, or is no key', async () => {
    const bad: readonly [JsonWebKey, object][] = [
      [{ kty: 'oct', k: random(7) }, POLICY],
      [{ kty: 'RSA', n: random(256), e: random(3) }, POLICY],
      [{ kty: 'oct', k: random(32) }, { version: '9' }],
    ];
    for (const [key, policy] of bad)
      assert.match(await refusal(importKey(owner(), 'model-key', key, policy)), /^400 /);
    const kept = owner().importKey(
      'model-key',
      { kty: 'oct', k: random(32) },
      { exportable: false },
    );
    assert.match(await refusal(kept), /^400 /);
  });

  it('has every release in the audit log', async () => {
    const { broker } = running;
    const { size } = broker.requireOpen().journal.tree;
    await anybody().releaseKey('model-key', await token(), { version: '1'.padStart(32, '0') });
    const [entry] = await broker.entries(size, size + 1);
    const event = JSON.parse(new TextDecoder().decode(entry)) as JsonObject;
    assert.equal(event['via'], 'vault');
    assert.equal(event['version'], 1);
    assert.equal(event['service'], 'inference');
  });
});
