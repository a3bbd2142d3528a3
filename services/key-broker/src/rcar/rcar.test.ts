import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createSimulatedQuote } from '@cloister/attestation';
import { PRODUCT_IDS, SIMULATED_MRSIGNER } from '@cloister/attester';
import { canonicalJson, encodeBase64, type JsonObject } from '@cloister/bytes';
import { decryptJwe, type Jwk } from '@cloister/crypto';
import { CODE, createWorld, publicJwk, rsa, type World } from '../scene.test.ts';

let world: World;
let keys: CryptoKeyPair;
let jwk: Jwk;
before(async () => {
  world = await createWorld();
  keys = await rsa();
  jwk = { ...(await publicJwk(keys)), alg: 'RSA-OAEP-256' };
  // The tenant key is there once somebody has asked for it.
  const identity = await world.identity('records');
  const query = { name: 'tenant-key', service: 'records', identity };
  assert.ok((await world.client('hospital').fetchSecret(query)).ok);
});
after(() => world.close());

const RESOURCE = '/kbs/v0/resource/lamna/secret/tenant-key';
const call = async (path: string, init: RequestInit = {}): Promise<Response> =>
  (world.running.get('hospital') ?? assert.fail()).app.request(path, init);
const post = (path: string, body: object, cookie?: string) =>
  call(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(cookie === undefined ? {} : { cookie }),
    },
    body: JSON.stringify(body),
  });

interface Opened {
  readonly cookie: string;
  readonly nonce: string;
}

async function open(tee = 'simulated-sgx'): Promise<Opened> {
  const answer = await post('/kbs/v0/auth', { version: '0.1.1', tee, 'extra-params': {} });
  assert.equal(answer.status, 200);
  const { nonce } = (await answer.json()) as { nonce: string };
  const cookie = /kbs-session-id=[^;]+/.exec(answer.headers.get('set-cookie') ?? '')?.[0] ?? '';
  return { cookie, nonce };
}

interface Changes {
  readonly key?: Jwk;
  readonly mrenclave?: string;
  readonly debug?: boolean;
  readonly algorithm?: string;
  /** What the report data stand for, where that is not what is sent. */
  readonly hashed?: (runtime: JsonObject) => JsonObject;
}

async function attestation(nonce: string, changes: Changes = {}): Promise<JsonObject> {
  const {
    algorithm = 'sha384',
    mrenclave = CODE.records,
    hashed = (same: JsonObject) => same,
  } = changes;
  const runtime: JsonObject = { nonce, 'tee-pubkey': { ...(changes.key ?? jwk) } };
  const reportData = new Uint8Array(64);
  reportData.set(
    createHash(algorithm)
      .update(canonicalJson(hashed(runtime)))
      .digest(),
  );
  const quote = await createSimulatedQuote(world.platform, {
    mrenclave,
    mrsigner: SIMULATED_MRSIGNER,
    isvProdId: PRODUCT_IDS.records,
    isvSvn: 1,
    debug: changes.debug ?? false,
    reportData,
  });
  return {
    'runtime-data': runtime,
    'tee-evidence': { primary_evidence: { quote: encodeBase64(quote) }, additional_evidence: '{}' },
  };
}

async function attest(changes: Changes = {}): Promise<{ cookie: string; token: string }> {
  const { cookie, nonce } = await open();
  const answer = await post('/kbs/v0/attest', await attestation(nonce, changes), cookie);
  assert.equal(answer.status, 200, await answer.clone().text());
  const { token } = (await answer.json()) as { token: string };
  return { cookie, token };
}

async function refusalOf(answer: Response): Promise<string> {
  const { type, detail } = (await answer.json()) as { type: string; detail: string };
  return `${answer.status} ${type.split('/').at(-1)} ${detail}`;
}

async function openResource(answer: Response): Promise<Uint8Array> {
  assert.equal(answer.status, 200, await answer.clone().text());
  const jwe = (await answer.json()) as Record<string, string>;
  const compact = [
    jwe['protected'],
    jwe['encrypted_key'],
    jwe['iv'],
    jwe['ciphertext'],
    jwe['tag'],
  ];
  const opened = await decryptJwe(compact.join('.'), { key: keys.privateKey });
  assert.ok(opened.ok);
  return opened.plaintext;
}

const withOwnKey = (runtime: JsonObject) => ({ ...runtime, 'tee-pubkey': { ...jwk } });

describe('the RCAR protocol', () => {
  for (const algorithm of ['sha256', 'sha384', 'sha512'])
    it(`releases a secret to tee-pubkey, bound by ${algorithm}`, async () => {
      const { cookie } = await attest({ algorithm });
      const value = await openResource(await call(RESOURCE, { headers: { cookie } }));
      assert.equal(value.length, 32);
    });

  it('releases to an EC tee-pubkey as well, as clients of today have it', async () => {
    const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, [
      'deriveBits',
    ]);
    const key = { ...(await publicJwk(pair)), alg: 'ECDH-ES+A256KW' };
    const { cookie, token } = await attest({ key });
    for (const headers of [{ cookie }, { authorization: `Bearer ${token}` }]) {
      const answer = await call(RESOURCE, { headers });
      const jwe = (await answer.json()) as Record<string, string>;
      const header = JSON.parse(Buffer.from(jwe['protected'] ?? '', 'base64url').toString()) as {
        alg: string;
        epk: { crv: string };
      };
      assert.equal(header.alg, 'ECDH-ES+A256KW');
      assert.equal(header.epk.crv, 'P-256');
      // 32 bytes of key, wrapped.
      assert.equal(Buffer.from(jwe['encrypted_key'] ?? '', 'base64url').length, 40);
    }
    const { cookie: other, nonce } = await open();
    const direct = { ...key, alg: 'ECDH-ES' };
    const refused = await post('/kbs/v0/attest', await attestation(nonce, { key: direct }), other);
    assert.match(await refusalOf(refused), /400 MalformedRequest tee-pubkey/);
  });

  it('takes the token in the place of the cookie', async () => {
    const { cookie, token } = await attest();
    const [one, two] = await Promise.all([
      call(RESOURCE, { headers: { cookie } }).then(openResource),
      call(RESOURCE, { headers: { authorization: `Bearer ${token}` } }).then(openResource),
    ]);
    assert.deepEqual(one, two);
  });

  it('answers 401 where nobody attested', async () => {
    const unattested = await open();
    for (const [headers, expected] of [
      [{}, '401 CookieMissing no session cookie'],
      [{ cookie: 'kbs-session-id=1' }, '401 CookieUnknown no such session'],
      [{ cookie: unattested.cookie }, '401 Unauthenticated not attested'],
      [{ authorization: 'Bearer a.b.c' }, '401 Unauthenticated token: signature'],
    ] as const)
      assert.equal(await refusalOf(await call(RESOURCE, { headers })), expected);
  });

  it('answers 403 by policy: code that does not get this secret', async () => {
    const other = { mrenclave: CODE.inference };
    const { cookie } = await attest(other);
    const answer = await call(RESOURCE, { headers: { cookie } });
    assert.equal(await refusalOf(answer), '403 PolicyDeny not a service that gets it');
    const { cookie: unknown } = await attest({ mrenclave: 'ee'.repeat(32) });
    assert.equal((await call(RESOURCE, { headers: { cookie: unknown } })).status, 403);
  });

  it('answers 404 for what is absent, another party has, or is not there yet', async () => {
    const { cookie } = await attest();
    for (const path of [
      '/kbs/v0/resource/lamna/secret/none',
      '/kbs/v0/resource/lamna/secret/model-key',
      '/kbs/v0/resource/elsewhere/secret/tenant-key',
      '/kbs/v0/resource/lamna/key/tenant-key',
      '/kbs/v0/resource/lamna/secret/channel-key',
      '/kbs/v0/resource/lamna/secret/toString',
    ])
      assert.equal(
        await refusalOf(await call(path, { headers: { cookie } })),
        '404 ResourceNotFound no such resource',
        path,
      );
  });

  it('refuses a challenge that was answered before: nonce reuse', async () => {
    const { cookie, nonce } = await open();
    const body = await attestation(nonce);
    assert.equal((await post('/kbs/v0/attest', body, cookie)).status, 200);
    const again = await refusalOf(await post('/kbs/v0/attest', body, cookie));
    assert.match(again, /^401 NonceUsed/);
    // Also where the first answer was refused.
    const second = await open();
    const bad = await attestation(second.nonce, { hashed: () => ({}) });
    assert.equal((await post('/kbs/v0/attest', bad, second.cookie)).status, 401);
    const good = await attestation(second.nonce);
    assert.match(await refusalOf(await post('/kbs/v0/attest', good, second.cookie)), /NonceUsed/);
  });

  it('refuses the cookie of another session', async () => {
    const [mine, theirs] = [await open(), await open()];
    const body = await attestation(mine.nonce);
    const answer = await post('/kbs/v0/attest', body, theirs.cookie);
    assert.equal(await refusalOf(answer), '401 NonceMismatch not the challenge of this session');
    const both = await post('/kbs/v0/attest', body, `${mine.cookie}; ${theirs.cookie}`);
    assert.match(await refusalOf(both), /CookieUnknown/);
    assert.match(await refusalOf(await post('/kbs/v0/attest', body)), /CookieMissing/);
    // Their session is as it was, and mine still is good.
    assert.equal((await post('/kbs/v0/attest', body, mine.cookie)).status, 200);
  });

  it('refuses a session that has ended', async () => {
    const { cookie, nonce } = await open();
    const attested = await attest();
    world.pass(301);
    const late = await post('/kbs/v0/attest', await attestation(nonce), cookie);
    assert.match(await refusalOf(late), /^401 CookieExpired/);
    const used = await call(RESOURCE, { headers: { cookie: attested.cookie } });
    assert.match(await refusalOf(used), /^401 CookieExpired/);
    const bearer = { authorization: `Bearer ${attested.token}` };
    assert.match(await refusalOf(await call(RESOURCE, { headers: bearer })), /expired/);
  });

  it('refuses a tee-pubkey that is not the one in the report', async () => {
    const { cookie, nonce } = await open();
    const thief = await publicJwk(await rsa());
    const body = await attestation(nonce, { key: thief, hashed: withOwnKey });
    const answer = await post('/kbs/v0/attest', body, cookie);
    assert.equal(await refusalOf(answer), '401 AttestationFailed report_data_mismatch');
  });

  it('gives what only the attested key opens', async () => {
    const { cookie } = await attest();
    const answer = await call(RESOURCE, { headers: { cookie } });
    const jwe = (await answer.json()) as Record<string, string>;
    const compact = ['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag'].map((n) => jwe[n]);
    const other = await rsa();
    const opened = await decryptJwe(compact.join('.'), { key: other.privateKey });
    assert.equal(opened.ok ? '' : opened.code, 'decryption_failed');
  });

  it('refuses debug enclaves, as policy', async () => {
    const { cookie } = await attest({ debug: true });
    assert.equal((await call(RESOURCE, { headers: { cookie } })).status, 403);
  });

  it('asks for attestation again when another manifest is in force', async () => {
    const w = world;
    const { cookie, token } = await attest();
    w.pass(1);
    await w.agree(w.next({ lease: 900 }));
    for (const headers of [{ cookie }, { authorization: `Bearer ${token}` }])
      assert.match(await refusalOf(await call(RESOURCE, { headers })), /^401 .*attest again/);
  });

  it('takes no token that the broker signed for another purpose', async () => {
    const head = world.running.get('hospital')?.broker.heads.newest?.jws ?? '';
    const headers = { authorization: `Bearer ${head}` };
    assert.match(await refusalOf(await call(RESOURCE, { headers })), /token: signature/);
  });

  it('refuses other versions, other TEEs, and what is no message', async () => {
    for (const [body, expected] of [
      [{ version: '1.0.0', tee: 'sgx' }, /^401 ProtocolVersion/],
      [{ version: '0.1.1', tee: 'sample' }, /^401 UnsupportedTee/],
      [{ version: '0.1.1' }, /^401 UnsupportedTee/],
      [{}, /^401 ProtocolVersion/],
    ] as const)
      assert.match(await refusalOf(await post('/kbs/v0/auth', body)), expected);
    for (const body of [
      {},
      { 'runtime-data': {} },
      { 'runtime-data': { nonce: 'x' }, 'tee-evidence': {} },
    ]) {
      const { cookie } = await open();
      const answer = await post('/kbs/v0/attest', body, cookie);
      assert.ok([400, 401].includes(answer.status));
    }
    const { cookie, nonce } = await open();
    const ec = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
    const wrong = await attestation(nonce, { key: ec });
    assert.match(await refusalOf(await post('/kbs/v0/attest', wrong, cookie)), /tee-pubkey/);
    const broken = await call('/kbs/v0/auth', { method: 'POST', body: '{"a":1,"a":2}' });
    assert.match(await refusalOf(broken), /^400 MalformedRequest/);
  });
});
