import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeHex, encodeUtf8 } from '@cloister/bytes';
import { type Jwk, parseJwk, sha256, signJws } from '@cloister/crypto';
import { createApp, type Statement } from './app.ts';
import { joinExposures } from './statistics.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
async function makeKey() {
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
  } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return { publicJwk: parseJwk({ kty, crv, x, y }), privateKey: pair.privateKey };
}
const [north, south, stranger] = [await makeKey(), await makeKey(), await makeKey()];
const parties: Record<string, { keys: Jwk[] }> = {
  north: { keys: [north.publicJwk] },
  south: { keys: [south.publicJwk] },
};
const rows = (count: number, of: (i: number) => number = (i) => i) =>
  Array.from({ length: count }, (_, i) => `C-${i},${of(i)}\n`).join('');

async function setup() {
  const app = createApp(parties);
  const call = async (
    party: string,
    key: CryptoKey,
    body = '',
    change: Partial<Statement> = {},
    typ = 'joint-analytics+jws',
  ) => {
    const digest = encodeHex(await sha256(encodeUtf8(body)));
    const statement = { computation: 'one', party, sha256: digest, ...change };
    const payload = JSON.stringify(statement);
    const jws = await signJws({ alg: 'ES256', key, header: { typ }, payload });
    const init = { headers: { statement: jws }, ...(body === '' ? {} : { method: 'PUT', body }) };
    return app.request(`/computations/one${body === '' ? '' : '/rows'}`, init);
  };
  return { app, call };
}

describe('the joint statistic', () => {
  it('is given to both parties once both gave their rows', async () => {
    const { call } = await setup();
    assert.equal((await call('north', north.privateKey)).status, 404);
    assert.equal((await call('north', north.privateKey, rows(10))).status, 201);
    assert.equal((await call('south', south.privateKey)).status, 404);
    assert.equal(
      (
        await call(
          'south',
          south.privateKey,
          rows(8, (i) => 7 - i),
        )
      ).status,
      201,
    );
    for (const [party, key] of [
      ['north', north.privateKey],
      ['south', south.privateKey],
    ] as const)
      assert.deepEqual(await (await call(party, key)).json(), {
        customers: 8,
        mean: [3.5, 3.5],
        correlation: -1,
      });
  });

  it('is not given over a group so small that one could be told apart', async () => {
    const { call } = await setup();
    await call('north', north.privateKey, rows(10));
    await call('south', south.privateKey, rows(4));
    assert.equal((await call('north', north.privateKey)).status, 422);
    assert.equal(joinExposures([], []), undefined);
  });

  it('takes rows of a party once', async () => {
    const { call } = await setup();
    assert.equal((await call('north', north.privateKey, rows(10))).status, 201);
    assert.equal((await call('north', north.privateKey, rows(9))).status, 409);
  });

  it('says of bad rows only where they are', async () => {
    const { call } = await setup();
    for (const bad of ['CANARY\n', 'C-1,-5\n', 'C-1,1\nC-1,2\n', `${'C'.repeat(65)},1\n`]) {
      const answer = await call('north', north.privateKey, bad);
      assert.equal(answer.status, 400);
      assert.doesNotMatch(await answer.text(), /CANARY|CCCC/);
    }
  });
});

describe('who may take part', () => {
  it('is a party with its own signature over this computation and these rows', async () => {
    const { app, call } = await setup();
    const refused = [
      call('north', stranger.privateKey, rows(10)),
      call('north', south.privateKey, rows(10)),
      call('east', north.privateKey, rows(10)),
      call('north', north.privateKey, rows(10), { computation: 'two' }),
      call('north', north.privateKey, rows(10), {
        sha256: encodeHex(await sha256(encodeUtf8(rows(9)))),
      }),
      call('north', north.privateKey, rows(10), {}, 'cloister-manifest+jws'),
      call('north', stranger.privateKey),
      app.request('/computations/one'),
      app.request('/computations/one', { headers: { statement: 'x' } }),
    ];
    for (const answer of refused) assert.equal((await answer).status, 401);
    assert.equal((await call('north', north.privateKey, rows(10))).status, 201);
  });
});
