import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { headHash } from '@cloister/attestation';
import type { TlsKey } from '@cloister/attester';
import type { JsonObject } from '@cloister/bytes';
import {
  createScene,
  judgeBy,
  makeHead,
  makeTlsKey,
  makeToken,
  trust,
  type Scene,
  type TokenChanges,
} from '../scene.test.ts';
import { createAuthenticate, judgeAgain, type GateTrust } from './authenticate.ts';
import type { NamedHeadJudge } from './judge-heads.ts';
import { rolesOf } from './roles.ts';

let scene: Scene;
let other: TlsKey;
let judgeHeads: NamedHeadJudge;
before(async () => {
  scene = await createScene();
  other = await makeTlsKey('records');
  judgeHeads = await judgeBy(scene.manifest, [scene.head], () => NOW);
});

const NOW = Date.now();
const SECONDS = Math.floor(NOW / 1000);

/** A token of this test's time, however long others took before. */
const tokenOf = (changes: TokenChanges = {}): Promise<string> =>
  makeToken(scene, { iat: SECONDS - 5, ...changes });

function gateOf(state: () => GateTrust, now = (): number => NOW, judge = judgeHeads) {
  return createAuthenticate({
    trust: state,
    judgeHeads: judge,
    fetchIssuerKeys: () => Promise.resolve([scene.issuerJwk]),
    now,
  });
}

const present = (): GateTrust => ({
  agreement: { trust: scene.manifest },
  roles: rolesOf(scene.manifest),
});

/** What a login with this token gives: its role, or the code of its refusal. */
async function logIn(
  token: string,
  { tls = scene.tls.spkiSha256, user }: { tls?: string | undefined; user?: string } = {},
  state: () => GateTrust = present,
): Promise<string> {
  const verdict = await gateOf(state)({ user, token }, tls);
  return verdict.ok ? verdict.admission.role.name : verdict.code;
}

/** The manifest with the next serial, changed. */
async function successor(change: (draft: JsonObject) => JsonObject): Promise<GateTrust> {
  const draft = change({ ...scene.draft, serial: 2, previous: scene.manifest.id });
  const { manifest } = await trust(scene.parties, draft, scene.manifest);
  const bridge = { manifestId: scene.manifest.id, until: new Date(NOW + 800_000) };
  return { agreement: { trust: manifest, bridge }, roles: rolesOf(manifest) };
}

describe('a login', () => {
  it('gives the role of the token until the token ends', async () => {
    const exp = Math.floor(NOW / 1000) + 100;
    const verdict = await gateOf(present)(
      { user: undefined, token: await tokenOf({ exp }) },
      scene.tls.spkiSha256,
    );
    assert.ok(verdict.ok);
    assert.equal(verdict.admission.role.name, 'records');
    assert.equal(verdict.admission.expires, exp * 1000);
    assert.equal(verdict.admission.ending, 'expired');
  });

  it('ends one lease after the head that the token names, if that is sooner', async () => {
    const earlier = await makeHead(scene, { time: SECONDS - 300 });
    const judge = await judgeBy(scene.manifest, [earlier, scene.head], () => NOW);
    const gate = gateOf(present, undefined, judge);
    const token = await tokenOf({ heads: [await headHash(earlier)] });
    const verdict = await gate({ user: undefined, token }, scene.tls.spkiSha256);
    assert.ok(verdict.ok);
    assert.equal(verdict.admission.expires, (SECONDS - 300 + 900) * 1000);
    assert.equal(verdict.admission.ending, 'lease');
  });

  it('takes the names that clients give', async () => {
    const token = await tokenOf();
    assert.equal(await logIn(token, { user: 'default' }), 'records');
    assert.equal(await logIn(token, { user: 'records' }), 'records');
    assert.equal(await logIn(token, { user: 'reader' }), 'user_mismatch');
  });
});

describe('a login is refused, by one thing alone:', () => {
  it('no certificate', async () => {
    const verdict = await gateOf(present)({ user: undefined, token: await tokenOf() }, undefined);
    assert.deepEqual(verdict, { ok: false, code: 'possession' });
  });
  it('the certificate of another key', async () => {
    assert.equal(await logIn(await tokenOf(), { tls: other.spkiSha256 }), 'possession');
  });
  it('a token without a TLS key', async () => {
    assert.equal(await logIn(await tokenOf({ tls: undefined })), 'no_tls_key');
  });
  it('a TLS key that only the policy of the issuer gave', async () => {
    const token = await tokenOf({
      tls: undefined,
      payload: (payload) => ({
        ...payload,
        tls: scene.tls.spkiSha256,
        'x-ms-policy': { tls: scene.tls.spkiSha256 },
      }),
    });
    assert.equal(await logIn(token), 'no_tls_key');
  });
  it('a token of a service without a role', async () => {
    assert.equal(await logIn(await tokenOf({ service: 'inference' })), 'no_role');
  });
  it('the token of another service, under the name of one with a role', async () => {
    const token = await tokenOf({ service: 'inference' });
    assert.equal(await logIn(token, { user: 'records' }), 'user_mismatch');
  });
  it('a token of another manifest', async () => {
    const token = await tokenOf({ manifests: ['00'.repeat(32)] });
    assert.equal(await logIn(token), 'manifest_mismatch');
  });
  it('an expired token', async () => {
    const exp = Math.floor(NOW / 1000) - 100;
    assert.equal(await logIn(await tokenOf({ iat: exp - 100, exp })), 'token_expired');
  });
  it('another issuer', async () => {
    const { privateKey } = await crypto.subtle.generateKey(
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign', 'verify'],
    );
    assert.equal(await logIn(await tokenOf({ key: privateKey })), 'token_signature');
  });
  it('a debug enclave', async () => {
    const token = await tokenOf({
      payload: (payload) => ({ ...payload, 'x-ms-sgx-is-debuggable': true }),
    });
    assert.equal(await logIn(token), 'policy.debug');
  });
  it('other code', async () => {
    const token = await tokenOf({
      payload: (payload) => ({ ...payload, 'x-ms-sgx-mrenclave': '00'.repeat(32) }),
    });
    assert.equal(await logIn(token), 'measurement_not_agreed');
  });
  it('runtime data that the evidence does not stand for', async () => {
    const token = await tokenOf({
      payload: (payload) => ({
        ...payload,
        'x-ms-runtime': { ...(payload['x-ms-runtime'] as JsonObject), tls: other.spkiSha256 },
      }),
    });
    assert.equal(await logIn(token, { tls: other.spkiSha256 }), 'report_data_mismatch');
  });
  it('a token that names no head', async () => {
    assert.equal(await logIn(await tokenOf({ heads: [] })), 'heads_missing');
  });
  it('a token that names a head that nobody knows', async () => {
    const token = await tokenOf({ heads: ['00'.repeat(32)] });
    assert.equal(await logIn(token), 'head_unknown');
  });
  it('a token whose head is older than the lease, by the newest head or by the clock', async () => {
    const old = await makeHead(scene, { time: SECONDS - 901 });
    const late = await makeHead(scene, { time: SECONDS - 850 });
    const token = await tokenOf({ heads: [await headHash(old)] });
    for (const heads of [
      [old, scene.head],
      [old, late],
    ]) {
      const gate = gateOf(present, undefined, await judgeBy(scene.manifest, heads, () => NOW));
      const verdict = await gate({ user: undefined, token }, scene.tls.spkiSha256);
      assert.deepEqual(verdict, { ok: false, code: 'head_too_old' });
    }
  });
  it('no head of the gate’s own party', async () => {
    const gate = gateOf(present, undefined, await judgeBy(scene.manifest, [], () => NOW));
    const login = { user: undefined, token: await tokenOf() };
    const verdict = await gate(login, scene.tls.spkiSha256);
    assert.deepEqual(verdict, { ok: false, code: 'gate_own_head_missing' });
  });
  it('what is no token', async () => {
    for (const token of ['', 'a.b.c', 'x'.repeat(20_000), 'e30.e30.e30'])
      assert.equal(await logIn(token), 'token_malformed');
  });
  it('two tokens that only together would do', async () => {
    // One is admitted, but of another key; the other is of this key, but has no role.
    const admitted = await tokenOf({ tls: other.spkiSha256 });
    const possessed = await tokenOf({ service: 'inference' });
    const gate = gateOf(present);
    for (const token of [
      admitted,
      possessed,
      admitted,
      `${admitted},${possessed}`,
      `${admitted} ${possessed}`,
    ]) {
      const verdict = await gate({ user: undefined, token }, scene.tls.spkiSha256);
      assert.ok(!verdict.ok);
    }
  });
});

describe('the keys of the issuer', () => {
  it('are fetched again when a token does not verify, but not all the time', async () => {
    let fetched = 0;
    let now = NOW;
    const gate = createAuthenticate({
      trust: present,
      judgeHeads,
      fetchIssuerKeys: async () => {
        fetched += 1;
        return fetched === 1 ? [] : [scene.issuerJwk];
      },
      now: () => now,
    });
    const token = await tokenOf();
    const login = { user: undefined, token };
    assert.deepEqual(await gate(login, scene.tls.spkiSha256), {
      ok: false,
      code: 'token_kid_unknown',
    });
    assert.ok(!(await gate(login, scene.tls.spkiSha256)).ok);
    assert.equal(fetched, 1);
    now += 10_001;
    assert.ok((await gate(login, scene.tls.spkiSha256)).ok);
    assert.equal(fetched, 2);
  });

  it('are asked of the network once for many logins, whose failure is the world’s', async () => {
    let fetched = 0;
    const gate = createAuthenticate({
      trust: present,
      judgeHeads,
      fetchIssuerKeys: () => {
        fetched += 1;
        return Promise.reject(new Error('away'));
      },
      now: () => NOW,
    });
    const token = await tokenOf();
    const all = await Promise.allSettled(
      [1, 2, 3].map(() => gate({ user: undefined, token }, scene.tls.spkiSha256)),
    );
    assert.ok(all.every(({ status }) => status === 'rejected'));
    assert.equal(fetched, 1);
    await assert.rejects(gate({ user: undefined, token }, ''), { name: 'UnavailableError' });
  });
});

describe('a new manifest', () => {
  it('bridges callers of the one before for one lease, where it admits their code', async () => {
    const next = await successor((draft) => draft);
    const token = await tokenOf();
    const verdict = await gateOf(() => next)({ user: undefined, token }, scene.tls.spkiSha256);
    assert.ok(verdict.ok);
    const bridged = { expires: NOW + 800_000, ending: 'manifest' } as const;
    assert.equal(verdict.admission.expires, bridged.expires);
    assert.equal(verdict.admission.ending, bridged.ending);
    const late = gateOf(
      () => next,
      () => NOW + 800_000,
    );
    const after = await late({ user: undefined, token }, scene.tls.spkiSha256);
    assert.deepEqual(after, { ok: false, code: 'manifest_mismatch' });
    assert.deepEqual(judgeAgain(next, verdict.admission, NOW), bridged);
    assert.equal(judgeAgain(next, verdict.admission, NOW + 800_000), undefined);
  });

  it('shortens an admission where its lease is shorter', async () => {
    const login = { user: undefined, token: await tokenOf() };
    const verdict = await gateOf(present)(login, scene.tls.spkiSha256);
    assert.ok(verdict.ok);
    const next = await successor((draft) => ({ ...draft, lease: 120 }));
    const { headTime } = verdict.admission;
    const expires = (headTime + 120) * 1000;
    assert.deepEqual(judgeAgain(next, verdict.admission, NOW), { expires, ending: 'lease' });
  });

  it('does not admit who runs by one before the last', async () => {
    const next = await successor((draft) => draft);
    const token = await tokenOf({ manifests: ['00'.repeat(32)] });
    assert.equal(await logIn(token, {}, () => next), 'manifest_mismatch');
  });

  it('cuts at once: code that is no longer agreed, roles that are gone or changed', async () => {
    const verdict = await gateOf(present)(
      { user: undefined, token: await tokenOf() },
      scene.tls.spkiSha256,
    );
    assert.ok(verdict.ok);
    const identity = {
      anyOf: [{ tee: 'sgx', mrenclave: ['ff'.repeat(32)], isvProdId: 101, minIsvSvn: 1 }],
    };
    const narrowed = await successor((draft) => ({
      ...draft,
      services: { ...(draft['services'] as JsonObject), records: { identity } },
    }));
    const without = await successor((draft) => ({ ...draft, cache: { roles: {} } }));
    const changed = await successor((draft) => ({
      ...draft,
      cache: { roles: { records: '~records:* +@read' } },
    }));
    for (const next of [narrowed, without, changed])
      assert.equal(judgeAgain(next, verdict.admission, NOW), undefined);
    assert.equal(await logIn(await tokenOf(), {}, () => narrowed), 'measurement_not_agreed');
    assert.equal(await logIn(await tokenOf(), {}, () => without), 'no_role');
    const { expires, ending } = verdict.admission;
    assert.deepEqual(judgeAgain(present(), verdict.admission, NOW), { expires, ending });
  });

  it('counts for a login that was being judged when it came', async () => {
    const without = await successor((draft) => ({ ...draft, cache: { roles: {} } }));
    let state = present();
    const gate = createAuthenticate({
      trust: () => state,
      judgeHeads,
      fetchIssuerKeys: async () => {
        state = without;
        return [scene.issuerJwk];
      },
      now: () => NOW,
    });
    const token = await tokenOf();
    const verdict = await gate({ user: undefined, token }, scene.tls.spkiSha256);
    assert.deepEqual(verdict, { ok: false, code: 'no_role' });
  });
});
