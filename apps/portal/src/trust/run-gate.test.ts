import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeEnvelope, headHash, keysOf, signHead, signManifest } from '@cloister/attestation';
import {
  AT,
  createScene,
  makeEnvelope,
  makeP256,
  NONCE,
  publicJwk,
  type Changes,
  type Scene,
} from '../../../../packages/attestation/src/peer/scene.test.ts';
import {
  createHeadScene,
  type HeadScene,
} from '../../../../packages/attestation/src/head/head-scene.test.ts';
import type { Pins } from './pins.ts';
import { checkingReport, runGate } from './run-gate.ts';

let scene: Scene;
let signatures: Record<string, string>;
let pins: Pins;
before(async () => {
  scene = await createScene();
  signatures = {};
  for (const [party, keys] of Object.entries(scene.parties))
    signatures[party] = await signManifest(scene.manifest.id, party, keys.privateKey);
  pins = { parties: keysOf(scene.manifest.manifest), lowestSerial: 1 };
});

interface Deviation {
  readonly pins?: Pins | undefined;
  readonly settings?: () => Promise<string>;
  readonly changes?: Changes;
  readonly evidence?: () => Promise<Response>;
}

const settingsWith = (manifest: unknown, members: object = {}): string =>
  JSON.stringify({
    records: 'https://records.example',
    attestation: 'https://attest.example',
    deployment: 'lamna',
    manifest,
    ...members,
  });

function gate(deviation: Deviation = {}) {
  const file = { manifest: scene.manifest.manifest, signatures };
  return runGate({
    pins: 'pins' in deviation ? deviation.pins : pins,
    loadSettings: deviation.settings ?? (() => Promise.resolve(settingsWith(file))),
    kept: { read: () => [], keep: () => undefined },
    transport: async ({ url }) => {
      if (url.startsWith('https://attest.example/'))
        return Response.json({ keys: [scene.issuerJwk] });
      if (deviation.evidence !== undefined) return deviation.evidence();
      return Response.json(encodeEnvelope(await makeEnvelope(scene, deviation.changes)));
    },
    now: () => AT,
    random: () => NONCE,
  });
}

/** That the gate blocks with this code, and gives nothing with which anything could be sent. */
async function assertBlocked(deviation: Deviation, code: string): Promise<void> {
  const result = await gate(deviation);
  assert.equal(result.report.code, code);
  assert.equal(result.report.state, 'blocked');
  assert.equal(result.report.peer, undefined);
  assert.equal(result.settings, undefined);
  assert.equal(result.manifest, undefined);
}

describe('runGate', () => {
  it('passes where everything is as agreed, with all three questions answered', async () => {
    const { report, manifest, settings } = await gate();
    assert.equal(report.state, 'passed');
    assert.deepEqual(
      report.questions.map(({ id, outcome }) => [id, outcome]),
      [
        ['hardware', 'passed'],
        ['code', 'passed'],
        ['channel', 'passed'],
      ],
    );
    assert.ok(report.peer);
    assert.equal(report.simulated, true);
    assert.equal(report.measurement?.measured, report.measurement?.agreed[0]);
    assert.deepEqual(report.manifest?.signers, ['diagnostics', 'hospital', 'platform']);
    assert.equal(manifest?.id, scene.manifest.id);
    assert.equal(settings?.records, 'https://records.example');
    assert.match(report.evidence ?? '', /simulated-sgx-quote/);
  });

  it('blocks, and shows both hashes, where other code runs', async () => {
    const mrenclave = 'de'.repeat(32);
    await assertBlocked({ changes: { facts: { mrenclave } } }, 'measurement_not_agreed');
    const { report } = await gate({ changes: { facts: { mrenclave } } });
    assert.equal(report.measurement?.measured, mrenclave);
    assert.notEqual(report.measurement?.agreed[0], mrenclave);
    assert.equal(report.questions[1]?.outcome, 'failed');
    assert.equal(report.questions[0]?.outcome, 'passed');
  });

  it('blocks a build that pins nobody', () => assertBlocked({ pins: undefined }, 'pins_missing'));

  it('blocks a manifest that the hospital of this build has not signed', async () => {
    const other = await publicJwk(await makeP256());
    const parties = { ...pins.parties, hospital: [other] };
    await assertBlocked({ pins: { parties, lowestSerial: 1 } }, 'own_party_missing');
    const { hospital: _, ...rest } = signatures;
    const file = { manifest: scene.manifest.manifest, signatures: rest };
    await assertBlocked(
      { settings: () => Promise.resolve(settingsWith(file)) },
      'own_party_missing',
    );
  });

  it('blocks a manifest below the lowest serial', () =>
    assertBlocked({ pins: { ...pins, lowestSerial: 2 } }, 'serial_too_low'));

  it('blocks a manifest that was changed after it was signed', async () => {
    const changed = { ...scene.manifest.manifest, lease: 901 };
    const file = { manifest: changed, signatures };
    await assertBlocked(
      { settings: () => Promise.resolve(settingsWith(file)) },
      'signature_invalid',
    );
  });

  it('blocks settings that cannot be read', async () => {
    for (const text of ['', '{}', '[]', settingsWith({}), settingsWith(null)])
      await assertBlocked({ settings: () => Promise.resolve(text) }, 'manifest_malformed');
    const file = { manifest: scene.manifest.manifest, signatures };
    for (const records of ['http://records.example', 'ftp://x', 'records', 7]) {
      const text = settingsWith(file, { records });
      await assertBlocked({ settings: () => Promise.resolve(text) }, 'manifest_malformed');
    }
  });

  it('says that it could not ask where nobody answers', async () => {
    const { report } = await gate({ evidence: () => Promise.reject(new TypeError('down')) });
    assert.equal(report.state, 'unreachable');
    assert.equal(report.code, 'evidence_unavailable');
    assert.ok(report.questions.every(({ outcome }) => outcome === 'skipped'));
    const lost = await gate({ settings: () => Promise.reject(new TypeError('down')) });
    assert.equal(lost.report.state, 'unreachable');
    assert.equal(lost.report.code, 'settings_unavailable');
  });

  it('shows pending questions while it works', () => {
    const report = checkingReport(AT);
    assert.ok(report.questions.every(({ outcome }) => outcome === 'pending'));
  });
});

describe('runGate, where the manifest names the broker of the hospital', () => {
  let heads: HeadScene;
  let text: string;
  before(async () => {
    heads = await createHeadScene();
    const signed: Record<string, string> = {};
    for (const [party, keys] of Object.entries(heads.scene.parties))
      signed[party] = await signManifest(heads.manifest.id, party, keys.privateKey);
    const file = { manifest: heads.manifest.manifest, signatures: signed };
    text = settingsWith(file, { broker: 'https://broker.example' });
  });

  const headAt = (seconds: number, key = heads.hospital) =>
    signHead(
      {
        deployment: 'lamna',
        party: 'hospital',
        manifest: heads.manifest.id,
        serial: 1,
        time: AT.getTime() / 1000 + seconds,
        logSize: 4,
        logRoot: 'ab'.repeat(32),
      },
      key.privateKey,
    );

  /** The gate, where the broker shows these heads and the evidence names those. */
  async function gateBy(shown: readonly string[] | undefined, named: readonly string[]) {
    const hashes = await Promise.all(named.map(headHash));
    const { report } = await runGate({
      pins: { parties: keysOf(heads.manifest.manifest), lowestSerial: 1 },
      loadSettings: () => Promise.resolve(text),
      kept: { read: () => [], keep: () => undefined },
      transport: async ({ url }) => {
        if (url.startsWith('https://broker.example/')) {
          if (shown === undefined) throw Object.assign(new TypeError('down'), { code: 'DOWN' });
          return Response.json({ heads: shown });
        }
        if (url.startsWith('https://attest.example/'))
          return Response.json({ keys: [heads.scene.issuerJwk] });
        const runtime = { manifests: [heads.manifest.id], heads: hashes };
        return Response.json(encodeEnvelope(await makeEnvelope(heads.scene, { runtime })));
      },
      now: () => AT,
      random: () => NONCE,
    });
    return { state: report.state, code: report.code, peer: report.peer };
  }

  it('passes where the platform names the head that the broker shows', async () => {
    const head = await headAt(-5);
    assert.equal((await gateBy([head], [head])).state, 'passed');
  });

  it('blocks where the platform was kept from the heads of the last lease, or names none', async () => {
    const [now, old] = [await headAt(0), await headAt(-901)];
    const late = await gateBy([now, old], [old]);
    assert.deepEqual([late.state, late.code, late.peer], ['blocked', 'head_too_old', undefined]);
    assert.equal((await gateBy([now], [old])).code, 'head_unknown');
    assert.equal((await gateBy([now], [])).code, 'heads_missing');
  });

  it('blocks where another broker speaks, or the broker has stopped', async () => {
    const foreign = await headAt(0, await makeP256());
    assert.equal((await gateBy([foreign], [foreign])).code, 'sender_foreign');
    const old = await headAt(-901);
    assert.equal((await gateBy([old], [old])).code, 'head_too_old');
  });

  it('says that it could not ask where the broker does not answer', async () => {
    const head = await headAt(0);
    const { state, code, peer } = await gateBy(undefined, [head]);
    assert.deepEqual([state, code, peer], ['unreachable', 'own_head_missing', undefined]);
  });
});
