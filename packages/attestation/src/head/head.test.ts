import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { decodeUtf8, encodeUtf8, canonicalJson } from '@cloister/bytes';
import { parseJws, signJws } from '@cloister/crypto';
import { assertOnlyFailed, AT, makeP256, trust } from '../peer/scene.test.ts';
import { checkHead, checkHeads } from './check-head.ts';
import { HeadKeeper } from './head-keeper.ts';
import { createHeadScene, type HeadScene } from './head-scene.test.ts';
import { partyOfHead, signHead, verifyHead, type Head, type VerifiedHead } from './head.ts';

const NOW = AT.getTime() / 1000;
let s: HeadScene;
before(async () => {
  s = await createHeadScene();
});

function headOf(changes: Partial<Head> = {}): Head {
  return {
    deployment: 'lamna',
    party: 'hospital',
    manifest: s.manifest.id,
    serial: 1,
    time: NOW,
    logSize: 10,
    logRoot: 'ab'.repeat(32),
    ...changes,
  };
}
const sign = (changes: Partial<Head> = {}, key = s.hospital) =>
  signHead(headOf(changes), key.privateKey);
const verify = (jws: string, party = 'hospital') =>
  verifyHead(jws, { manifest: s.manifest, party });
async function verified(changes: Partial<Head> = {}): Promise<VerifiedHead> {
  const result = await verify(await sign(changes));
  assert.ok(result.ok, JSON.stringify(result.checks));
  return result.claims;
}

describe('a keeper that goes on with the next manifest', () => {
  it('takes heads of the one before until its bridge ends, and no longer', async () => {
    const next = await trust(s.scene, { ...s.draft, serial: 2, previous: s.manifest.id });
    let time = AT;
    const keeper = new HeadKeeper({ manifest: s.manifest, ownParty: 'hospital', now: () => time });
    await keeper.add(await sign());
    keeper.follow(next);
    const strict = keeper.check();
    assertOnlyFailed(strict, 'this manifest in force', 'manifest_mismatch');
    const until = new Date(AT.getTime() + 60_000);
    keeper.follow(next, { manifestId: s.manifest.id, until });
    assert.equal(keeper.check().ok, true);
    const other = { manifestId: 'ee'.repeat(32), until };
    keeper.follow(next, other);
    assertOnlyFailed(keeper.check(), 'this manifest in force', 'manifest_mismatch');
    keeper.follow(next, { manifestId: s.manifest.id, until });
    time = until;
    assertOnlyFailed(keeper.check(), 'this manifest in force', 'manifest_mismatch');
    await keeper.add(await sign({ manifest: next.id, serial: 2, time: NOW + 60 }));
    assert.equal(keeper.check().ok, true);
  });
});

describe('verifyHead', () => {
  it('gives what the broker signed, and the hash that stands for it', async () => {
    const jws = await sign();
    const result = await verify(jws);
    assert.ok(result.ok);
    const { hash, jws: kept, ...head } = result.claims;
    assert.deepEqual({ ...head }, { ...headOf(), ...symbolsOf(result.claims) });
    assert.equal(kept, jws);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.equal(partyOfHead(jws), 'hospital');
  });

  it('refuses a head by a genuine broker with a foreign key', async () => {
    const result = await verify(await sign({}, await makeP256()));
    assertOnlyFailed(result, 'signed by that broker', 'sender_foreign');
  });

  it("refuses another party's broker, which names this party", async () => {
    const result = await verify(await sign({}, s.diagnostics));
    assertOnlyFailed(result, 'signed by that broker', 'sender_foreign');
  });

  it("refuses the own broker's head under another party's name", async () => {
    const result = await verify(await sign({ party: 'diagnostics' }));
    assertOnlyFailed(result, 'head of this party', 'head_party');
  });

  it('refuses a head of another deployment', async () => {
    const result = await verify(await sign({ deployment: 'elsewhere' }));
    assertOnlyFailed(result, 'head of this deployment', 'head_deployment');
  });

  it('refuses a party that has no broker', async () => {
    const result = await verify(await sign(), 'platform');
    assertOnlyFailed(result, 'broker named in the manifest', 'broker_unknown');
    const inherited = await verify(await sign(), 'constructor');
    assertOnlyFailed(inherited, 'broker named in the manifest', 'broker_unknown');
  });

  it('refuses a signature of the same key that was made for another purpose', async () => {
    const { payload } = parseJws(await sign());
    const key = s.hospital.privateKey;
    const other = await signJws({
      alg: 'ES256',
      key,
      header: { typ: 'cloister-counter+jws' },
      payload,
    });
    assertOnlyFailed(await verify(other), 'signed by that broker', 'sender_foreign');
    assert.throws(() => partyOfHead(other), { name: 'MalformedError' });
  });

  it('refuses members that are missing, unknown or of another kind', async () => {
    const key = s.hospital.privateKey;
    const { payload } = parseJws(await sign());
    const head = JSON.parse(decodeUtf8(payload)) as Record<string, string | number>;
    for (const changed of [
      { ...head, more: 1 },
      { ...head, time: -1 },
      { ...head, logRoot: 'AB' },
      { ...head, serial: 0 },
      Object.fromEntries(Object.entries(head).filter(([name]) => name !== 'logSize')),
    ]) {
      const text = encodeUtf8(canonicalJson(changed));
      const header = { typ: 'cloister-head+jws' };
      const jws = await signJws({ alg: 'ES256', key, header, payload: text });
      assertOnlyFailed(await verify(jws), 'form of the statement', 'statement_malformed');
    }
  });

  it('refuses every flipped character', async () => {
    const jws = await sign();
    for (let at = 0; at < jws.length; at += 7) {
      const flipped = `${jws.slice(0, at)}${jws[at] === 'A' ? 'B' : 'A'}${jws.slice(at + 1)}`;
      if (flipped !== jws) assert.equal((await verify(flipped)).ok, false, `character ${at}`);
    }
    for (const text of ['', '.', '..', 'a.b.c', jws.slice(0, -1)])
      assert.equal((await verify(text)).ok, false);
  });
});

const checkAt = (head: VerifiedHead, at = AT) =>
  checkHead(head, { manifest: s.manifest, ownParty: 'hospital', at });

const seconds = (n: number) => new Date(AT.getTime() + n * 1000);

describe('checkHead', () => {
  it('passes up to the end of the lease, and no longer', async () => {
    const head = await verified();
    assert.ok(checkAt(head).ok);
    assert.ok(checkAt(head, seconds(900)).ok);
    assertOnlyFailed(checkAt(head, seconds(901)), 'head not older than the lease', 'head_too_old');
  });

  it('notices a clock that was set back', async () => {
    const head = await verified();
    assert.ok(checkAt(head, seconds(-60)).ok);
    assertOnlyFailed(checkAt(head, seconds(-61)), 'clock not behind the head', 'clock_behind_head');
  });

  it('takes the own party only', async () => {
    const result = await verify(await sign({ party: 'diagnostics' }, s.diagnostics), 'diagnostics');
    assert.ok(result.ok);
    assertOnlyFailed(checkAt(result.claims), 'head of the own party', 'head_party');
  });

  it('tells a newer manifest from another one', async () => {
    const newer = checkAt(await verified({ serial: 2, manifest: 'cd'.repeat(32) }));
    assert.equal(newer.ok ? '' : newer.code, 'manifest_superseded');
    const other = await verified({ manifest: 'cd'.repeat(32) });
    assertOnlyFailed(checkAt(other), 'this manifest in force', 'manifest_mismatch');
  });

  it('refuses a head of a deployment that the manifest is not of', async () => {
    const head = await verified();
    const manifest = await trust(s.scene, { ...s.draft, deployment: 'elsewhere' });
    const result = checkHead(head, { manifest, ownParty: 'hospital', at: AT });
    const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
    assert.ok(failed.some(({ code }) => code === 'head_deployment'));
  });
});

const judge = (hashes: readonly string[], known: readonly VerifiedHead[]) =>
  checkHeads(hashes, { known, ownParty: 'hospital', lease: 900 });

describe('checkHeads', () => {
  it('passes evidence whose head is at most the lease behind', async () => {
    const [old, recent, newest] = await Promise.all([
      verified({ time: NOW - 901, logSize: 8 }),
      verified({ time: NOW - 900, logSize: 9 }),
      verified(),
    ]);
    assert.ok(judge([newest.hash], [old, recent, newest]).ok);
    assert.ok(judge(['00'.repeat(32), recent.hash], [newest, recent, old]).ok);
    const stale = judge([old.hash], [old, recent, newest]);
    assertOnlyFailed(stale, 'not older than the lease', 'head_too_old');
  });

  it('refuses evidence without heads, or with unknown ones', async () => {
    const newest = await verified();
    assert.equal(codeOf(judge([], [newest])), 'heads_missing');
    assertOnlyFailed(
      judge(['00'.repeat(32)], [newest]),
      'names a head of the own party',
      'head_unknown',
    );
  });

  it('refuses all where the accepter itself has no head', () => {
    assert.equal(codeOf(judge(['00'.repeat(32)], [])), 'own_head_missing');
  });

  it("does not count the other party's heads", async () => {
    const own = await verified();
    const other = await verify(await sign({ party: 'diagnostics' }, s.diagnostics), 'diagnostics');
    assert.ok(other.ok);
    assert.equal(codeOf(judge([other.claims.hash], [own, other.claims])), 'head_unknown');
  });
});

const keeper = (now = () => AT) =>
  new HeadKeeper({ manifest: s.manifest, ownParty: 'hospital', now });

describe('HeadKeeper', () => {
  it('keeps the newest head of each party and names it', async () => {
    const k = keeper();
    assert.equal(codeOf(k.check()), 'own_head_missing');
    const first = await k.add(await sign({ time: NOW - 60, logSize: 9 }));
    const second = await k.add(await sign());
    const other = await k.add(
      await sign({ party: 'diagnostics', logSize: 2 }, s.diagnostics),
      'diagnostics',
    );
    assert.ok(first.ok && second.ok && other.ok);
    assert.equal(k.newest()?.hash, second.claims.hash);
    assert.deepEqual(
      k.hashes(),
      [second.claims.hash, other.claims.hash].toSorted((a, b) => (a < b ? -1 : 1)),
    );
    assert.ok(k.check().ok);
    assert.ok(k.judge([first.claims.hash]).ok);
    assert.equal(codeOf(k.judge([other.claims.hash])), 'head_unknown');
  });

  it('refuses a broker that was rolled back, and one that there is twice', async () => {
    const k = keeper();
    assert.ok((await k.add(await sign())).ok);
    const later = NOW + 60;
    for (const [why, changes] of Object.entries({
      'the log is shorter': { time: later, logSize: 9 },
      'the same length, another root': { time: later, logRoot: 'cd'.repeat(32) },
      'an earlier head with a longer log': { time: NOW - 1, logSize: 11 },
      'another manifest with the same serial': { time: later, manifest: 'cd'.repeat(32) },
    })) {
      const result = await k.add(await sign(changes));
      assertOnlyFailed(result, 'contradicts no earlier head', 'head_contradicts');
      assert.ok(why);
    }
    const next = { time: later, serial: 2, manifest: 'cd'.repeat(32), logSize: 12 };
    assert.ok((await k.add(await sign(next))).ok);
    const result = await k.add(await sign({ time: later + 60, logSize: 13 }));
    assertOnlyFailed(result, 'contradicts no earlier head', 'head_contradicts');
  });

  it('takes the same head twice, and an older one that fits', async () => {
    const k = keeper();
    const jws = await sign();
    assert.ok((await k.add(jws)).ok);
    assert.ok((await k.add(jws)).ok);
    assert.ok((await k.add(await sign({ time: NOW - 60, logSize: 9 }))).ok);
    assert.equal(k.newest()?.jws, jws);
  });

  it('has a clock that never runs behind its newest head', async () => {
    let host = AT;
    const k = keeper(() => host);
    assert.deepEqual(k.now(), AT);
    await k.add(await sign({ time: NOW + 30 }));
    assert.deepEqual(k.now(), new Date((NOW + 30) * 1000));
    // The host sets its clock back by a day: old evidence does not become fresh by that.
    host = new Date(AT.getTime() - 86_400_000);
    assert.deepEqual(k.now(), new Date((NOW + 30) * 1000));
  });

  it('accepts nothing when its newest head is older than the lease', async () => {
    let host = AT;
    const k = keeper(() => host);
    await k.add(await sign());
    host = new Date(AT.getTime() + 901_000);
    assert.equal(codeOf(k.check()), 'head_too_old');
  });

  it('follows the next manifest with the heads that it has', async () => {
    const k = keeper();
    const draft = { ...s.draft, serial: 2, previous: s.manifest.id };
    const next = await trust(s.scene, draft);
    await k.add(await sign());
    assert.ok((await k.add(await sign({ time: NOW + 1, serial: 2, manifest: next.id }))).ok);
    assert.equal(codeOf(k.check()), 'manifest_superseded');
    k.follow(next);
    assert.ok(k.check().ok);
  });
});

const codeOf = (result: { ok: boolean; code?: string }): string =>
  result.ok ? 'ok' : (result.code ?? '');

function symbolsOf(value: object): object {
  return Object.fromEntries(
    Object.getOwnPropertySymbols(value).map((symbol) => [symbol, Reflect.get(value, symbol)]),
  );
}
