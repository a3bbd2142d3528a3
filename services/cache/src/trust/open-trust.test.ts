import assert from 'node:assert/strict';
import { afterEach, before, describe, it } from 'node:test';
import { headHash, manifestId, parseManifest, signManifest } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import { createFakeBroker, type FakeBroker } from '../fake-broker.test.ts';
import { createScene, makeHead, trust, type HeadChanges, type Scene } from '../scene.test.ts';
import type { GateTrust } from './authenticate.ts';
import { openTrust, type OpenedTrust } from './open-trust.ts';

const NOW = Date.now();
const SECONDS = Math.floor(NOW / 1000);
/** Short, for heads are looked at fifteen times a lease; the clock stands still unless told. */
const LEASE = 3;

let scene: Scene;
let file: string;
const opened: OpenedTrust[] = [];
before(async () => {
  scene = await createScene();
  // Enough signatures without the hospital's: what is missing then is its own.
  const quorum = { update: { of: ['hospital', 'platform'], min: 1 } };
  const draft = { ...scene.draft, lease: LEASE, quorum };
  const first = await trust(scene.parties, draft);
  scene = { ...scene, draft, manifest: first.manifest };
  ({ file } = first);
});
afterEach(() => {
  for (const one of opened.splice(0)) one.stop();
});

const headAt = (seconds: number, changes: HeadChanges = {}): Promise<string> =>
  makeHead(scene, { time: SECONDS + seconds, logSize: 4 + Math.max(0, seconds), ...changes });

interface Run {
  readonly trust: OpenedTrust;
  readonly broker: FakeBroker;
  readonly times: { wall: number; monotonic: number };
  readonly file: { text: string };
  readonly refused: string[];
  readonly failures: string[];
  /** The next change of the manifest. */
  changed(): Promise<GateTrust>;
  /** Waits until something is so: at each look of the gate at the brokers. */
  until(what: () => boolean): Promise<void>;
}

async function open(heads: readonly string[]): Promise<Run> {
  const broker = createFakeBroker(heads, file);
  const times = { wall: NOW, monotonic: 0 };
  const state = { text: file };
  const refused: string[] = [];
  const failures: string[] = [];
  const gate = openTrust({
    first: scene.manifest,
    readManifest: () => Promise.resolve(state.text),
    brokers: { hospital: 'http://broker' },
    transport: broker.fetch,
    wall: () => times.wall,
    monotonic: () => times.monotonic,
    onRefused: (code) => refused.push(code),
    onHeadsFailed: (code) => failures.push(code),
  });
  opened.push(gate);
  await gate.asked;
  return {
    trust: gate,
    broker,
    times,
    file: state,
    refused,
    failures,
    changed: () => new Promise((resolve) => gate.onChange(resolve)),
    until: async (what) => {
      for (let i = 0; i < 400 && !what(); i++) await new Promise((next) => setTimeout(next, 25));
      assert.ok(what());
    },
  };
}

const successor = (changes: JsonObject = {}) =>
  trust(
    scene.parties,
    { ...scene.draft, serial: 2, previous: scene.manifest.id, ...changes },
    scene.manifest,
  );

const codeOf = async (run: Run, head: string): Promise<string> => {
  const verdict = await run.trust.judgeHeads([await headHash(head)]);
  return verdict.ok ? 'ok' : verdict.code;
};

describe('the heads of the hospital’s broker', () => {
  it('give the gate its time, and what callers name is compared with them', async () => {
    const [head, earlier] = [await headAt(0), await headAt(-2)];
    const run = await open([head, earlier]);
    assert.deepEqual(run.trust.heads(), [await headHash(head)]);
    assert.ok(run.trust.hasTime());
    for (const named of [head, earlier]) assert.equal(await codeOf(run, named), 'ok');
    assert.equal(await codeOf(run, await headAt(-1)), 'head_unknown');
    assert.deepEqual(run.failures, []);
  });

  it('set the clock, which the host’s cannot be behind', async () => {
    const run = await open([await headAt(60)]);
    assert.equal(run.trust.now(), (SECONDS + 60) * 1000);
  });

  it('are asked for once more where a caller names a newer one', async () => {
    const run = await open([await headAt(0)]);
    const newer = await headAt(1);
    run.broker.heads.unshift(newer);
    assert.equal(await codeOf(run, newer), 'ok');
  });

  it('without any, nobody is admitted, until there is one', async () => {
    const run = await open([]);
    const head = await headAt(0);
    assert.ok(!run.trust.hasTime());
    assert.equal(run.trust.headAge(), undefined);
    assert.equal(await codeOf(run, head), 'gate_own_head_missing');
    await run.until(() => run.failures.includes('own_head_missing'));
    run.broker.push(head);
    assert.equal(await codeOf(run, head), 'ok');
    assert.equal(run.failures.length, 1);
  });

  it('grow too old where the host withholds newer ones, though it set its clock back', async () => {
    const head = await headAt(0);
    const run = await open([head]);
    run.times.wall -= 3_600_000;
    run.times.monotonic += LEASE * 1000 - 2000;
    assert.equal(await codeOf(run, head), 'ok');
    run.times.monotonic += 3000;
    assert.ok(!run.trust.hasTime());
    assert.equal(await codeOf(run, head), 'gate_head_too_old');
    await run.until(() => run.failures.includes('head_too_old'));
    // Said once.
    const { asked } = run.broker;
    await run.until(() => run.broker.asked > asked + 1);
    assert.deepEqual(run.failures, ['head_too_old']);
  });

  it('grow too old where the broker is away', async () => {
    const head = await headAt(0);
    const run = await open([head]);
    run.broker.isAway = true;
    run.times.wall += 2000;
    assert.equal(await codeOf(run, head), 'ok');
    run.times.wall += 2000;
    assert.equal(await codeOf(run, head), 'gate_head_too_old');
    assert.ok((run.trust.headAge() ?? 0) > LEASE);
  });

  it('of another key end the start, as does the head of another manifest', async () => {
    const { privateKey } = await crypto.subtle.generateKey(
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign', 'verify'],
    );
    const other = await trust(scene.parties, { ...scene.draft, lease: 4 });
    for (const changes of [{ key: privateKey }, { manifest: other.manifest }]) {
      const run = await open([await headAt(0, changes)]);
      await assert.rejects(run.trust.failed, { name: 'ConfigError' });
      assert.ok(!run.trust.hasTime());
    }
  });

  it('are needed: a gate is not opened without the address of the hospital’s broker', () => {
    assert.throws(
      () =>
        openTrust({
          first: scene.manifest,
          readManifest: () => Promise.resolve(file),
          brokers: { diagnostics: 'http://broker' },
          transport: () => Promise.reject(new Error('not asked')),
          wall: () => NOW,
          monotonic: () => 0,
          onRefused: () => undefined,
          onHeadsFailed: () => undefined,
        }),
      { name: 'ConfigError' },
    );
  });
});

describe('a newer manifest', () => {
  it('is fetched from the broker when a head names it; the file may lag behind', async () => {
    const head = await headAt(0);
    const run = await open([head]);
    const next = await successor({ cache: { roles: { reader: '~r:* +@read' } } });
    const changed = run.changed();
    run.broker.manifests.push(next.file);
    run.broker.push(await headAt(1, { manifest: next.manifest }));
    const { agreement, roles } = await changed;
    assert.equal(agreement.trust.id, next.manifest.id);
    assert.equal(agreement.bridge?.manifestId, scene.manifest.id);
    assert.deepEqual([...roles.keys()], ['reader']);
    assert.equal(run.trust.current().agreement, agreement);
    assert.deepEqual(run.trust.manifests(), [next.manifest.id, scene.manifest.id]);
    run.times.wall += LEASE * 1000 + 2000;
    assert.deepEqual(run.trust.manifests(), [next.manifest.id]);
    run.times.wall = NOW;
    assert.equal(await codeOf(run, head), 'ok');
    await run.trust.file.check();
    assert.ok(!run.trust.file.isCurrent() && !run.trust.file.isRefused());
    run.file.text = next.file;
    await run.trust.file.check();
    assert.ok(run.trust.file.isCurrent());
    assert.deepEqual(run.refused, []);
  });

  it('that is several serials ahead is reached one by one', async () => {
    const run = await open([await headAt(0)]);
    const second = await successor();
    const third = await trust(
      scene.parties,
      { ...scene.draft, serial: 3, previous: second.manifest.id },
      second.manifest,
    );
    const changed = run.changed();
    run.broker.manifests.push(second.file, third.file);
    run.broker.push(await headAt(1, { manifest: third.manifest }));
    assert.equal((await changed).agreement.trust.id, third.manifest.id);
  });

  it('is taken from the file before the broker has heard of it', async () => {
    const head = await headAt(0);
    const run = await open([head]);
    const next = await successor();
    run.file.text = next.file;
    await run.trust.file.check();
    assert.equal(run.trust.current().agreement.trust.id, next.manifest.id);
    assert.equal(await codeOf(run, head), 'ok');
  });

  it('that the host withholds stops everything: a head names it, and nobody has it', async () => {
    const head = await headAt(0);
    const run = await open([head]);
    const next = await successor();
    run.broker.push(await headAt(1, { manifest: next.manifest }));
    await run.until(() => run.failures.includes('manifest_superseded'));
    assert.ok(!run.trust.hasTime());
    assert.equal(await codeOf(run, head), 'gate_manifest_superseded');
    assert.equal(run.trust.current().agreement.trust.id, scene.manifest.id);
  });

  it('that the hospital has not signed is refused, and said once', async () => {
    const run = await open([await headAt(0)]);
    const draft = { ...scene.draft, serial: 2, previous: scene.manifest.id };
    const id = await manifestId(parseManifest(JSON.stringify(draft)));
    const key = scene.parties['platform']?.privateKey;
    assert.ok(key !== undefined);
    const platform = await signManifest(id, 'platform', key);
    const unsigned = JSON.stringify({ manifest: draft, signatures: { platform } });
    run.file.text = unsigned;
    await run.trust.file.check();
    await run.trust.file.check();
    assert.deepEqual(run.refused, ['own_party_missing']);
    assert.ok(run.trust.file.isRefused());
    const next = await successor();
    run.broker.manifests.push(unsigned);
    run.broker.push(await headAt(1, { manifest: next.manifest }));
    await run.until(() => run.failures.includes('manifest_superseded'));
    const { asked } = run.broker;
    await run.until(() => run.broker.asked > asked + 1);
    assert.deepEqual(run.refused, ['own_party_missing', 'own_party_missing']);
    assert.equal(run.trust.current().agreement.trust.id, scene.manifest.id);
  });

  it('takes away what it takes away, though a role in it cannot be read', async () => {
    const run = await open([await headAt(0)]);
    const told = new Promise<number>((resolve) =>
      run.trust.onChange((_, unreadable) => resolve(unreadable)),
    );
    const roles = { reader: '~r:* +@read', records: '+eval' };
    run.file.text = (await successor({ cache: { roles } })).file;
    await run.trust.file.check();
    assert.equal(await told, 1);
    assert.deepEqual([...run.trust.current().roles.keys()], ['reader']);
  });
});
