import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { BROKER_ANSWER } from '@cloister/attestation';
import { parseJsonObject, type JsonObject } from '@cloister/bytes';
import { createVaultClient } from './vault-client.ts';
import {
  agreementOn,
  AT,
  HOST,
  KEY,
  makeChain,
  makeEncKey,
  payloadOf,
  random,
  signRelease,
  VALUE,
  VERSION,
  wrapFor,
  type Holder,
} from './vault-scene.test.ts';

let chain: readonly [Holder, Holder, Holder];
let enc: CryptoKeyPair;
let asked: Request[];
before(async () => {
  chain = await makeChain();
  enc = await makeEncKey();
});

/** A client of a vault that answers so. */
async function client(
  answer: (request: Request) => Promise<Response> | Response,
  authorize: () => Promise<string> = () => Promise.resolve('e30.e30.sig'),
) {
  asked = [];
  return createVaultClient({
    vault: await agreementOn(chain[2]),
    transport: async (request) => {
      asked.push(request.clone());
      return answer(request);
    },
    authorize,
    now: () => AT,
    random,
  });
}

const query = () => ({
  key: KEY,
  version: VERSION,
  token: 'a.b.c',
  decryptKey: enc.privateKey,
});

/** The vault's own answer to a request: the key, and the nonce repeated. */
async function release(request: Request): Promise<Response> {
  const { nonce = '' } = parseJsonObject(await request.text());
  const payload = payloadOf(await wrapFor(enc.publicKey));
  const said = payload['request'] as JsonObject;
  const value = await signRelease({ ...payload, request: { ...said, nonce } }, chain);
  return Response.json({ value });
}

describe('releaseKey', () => {
  it('asks as Azure’s clients ask, and opens the answer', async () => {
    const vault = await client(release);
    const verdict = await vault.releaseKey(query());
    assert.ok(verdict.ok, JSON.stringify(verdict));
    assert.deepEqual(verdict.claims.value, VALUE);
    const [request] = asked;
    assert.equal(request?.url, `https://${HOST}/keys/${KEY}/${VERSION}/release?api-version=7.4`);
    assert.equal(request.method, 'POST');
    assert.equal(request.headers.get('authorization'), 'Bearer e30.e30.sig');
    const body: JsonObject = parseJsonObject(await request.text());
    assert.equal(body['target'], 'a.b.c');
    assert.equal(body['enc'], 'RSA_AES_KEY_WRAP_256');
    assert.ok(typeof body['nonce'] === 'string');
    assert.match(body['nonce'], /^[\w-]{43}$/);
  });

  it('takes no answer that was given before: each has its nonce', async () => {
    let kept: Response | undefined;
    const vault = await client(async (request) => {
      kept ??= await release(request);
      return kept.clone();
    });
    assert.ok((await vault.releaseKey(query())).ok);
    const again = await vault.releaseKey(query());
    assert.ok(!again.ok);
    assert.equal(again.code, 'nonce_mismatch');
  });

  it('has the vault’s no as a no, and what is no answer as none', async () => {
    for (const [status, code, isFinal] of [
      [400, 'vault_refused', true],
      [403, 'vault_refused', true],
      [404, 'vault_key_unknown', true],
      [401, 'vault_unauthorized', false],
    ] as const) {
      const error = { code: 'Forbidden', message: 'Target environment' };
      const vault = await client(() => Response.json({ error }, { status }));
      const verdict = await vault.releaseKey(query());
      assert.ok(!verdict.ok);
      assert.equal(verdict.code, code);
      const said = verdict.checks.some(({ check }) => check === BROKER_ANSWER);
      assert.equal(said, isFinal);
    }
    for (const [status, code] of [
      [429, 'throttled'],
      [500, 'server_error'],
      [302, 'refused'],
    ] as const) {
      const vault = await client(() => new Response('', { status }));
      await assert.rejects(vault.releaseKey(query()), { name: 'ClientError', code });
    }
    const dark = await client(() => Promise.reject(new TypeError('no network')));
    await assert.rejects(dark.releaseKey(query()), { code: 'unavailable' });
  });

  it('takes no answer that is none, and none without end', async () => {
    for (const body of ['', '[]', '{}', '{"value":1}']) {
      const vault = await client(() => new Response(body));
      await assert.rejects(vault.releaseKey(query()), { code: 'malformed_answer' });
    }
    const endless = await client(() => new Response('x'.repeat(300_000)));
    await assert.rejects(endless.releaseKey(query()), { code: 'answer_too_large' });
  });

  it('sends no access token that is none', async () => {
    for (const text of ['', 'two words', 'a\nb', 'x'.repeat(20_000)]) {
      const vault = await client(release, () => Promise.resolve(text));
      await assert.rejects(vault.releaseKey(query()), { code: 'unauthorized' });
      assert.equal(asked.length, 0);
    }
  });

  it('asks with no key that unwraps nothing', async () => {
    const vault = await client(release);
    await assert.rejects(
      vault.releaseKey({ ...query(), decryptKey: chain[0].keys.privateKey }),
      TypeError,
    );
    assert.equal(asked.length, 0);
  });
});
