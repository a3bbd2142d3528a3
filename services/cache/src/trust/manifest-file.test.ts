import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ManifestFollower } from '@cloister/client';
import type { JsonObject } from '@cloister/bytes';
import { createScene, trust, type Scene } from '../scene.test.ts';
import { watchManifestFile, type ManifestFile } from './manifest-file.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});

const NOW = new Date(1_000_000);

/** A watch over a file that says what the test writes into it. */
function watch(): {
  readonly watch: ManifestFile;
  readonly follower: ManifestFollower;
  file: string | undefined;
  readonly told: string[];
} {
  const told: string[] = [];
  const state: { file: string | undefined } = { file: undefined };
  const follower = new ManifestFollower({
    first: scene.manifest,
    ownParty: 'hospital',
    now: () => NOW,
  });
  follower.onChange(({ trust: { manifest } }) => void told.push(`serial ${manifest.serial}`));
  const gone = Object.assign(new Error('gone'), { code: 'ENOENT' });
  return Object.assign(state, {
    told,
    follower,
    watch: watchManifestFile({
      follower,
      ownParty: 'hospital',
      read: async () => state.file ?? Promise.reject(gone),
      onRefused: (code) => told.push(code),
    }),
  });
}

const next = (draft: JsonObject = {}): JsonObject => ({
  ...scene.draft,
  serial: 2,
  previous: scene.manifest.id,
  ...draft,
});

describe('watchManifestFile', () => {
  it('offers a signed successor, once', async () => {
    const one = watch();
    one.file = (await trust(scene.parties, scene.draft)).file;
    await one.watch.check();
    assert.deepEqual(one.told, []);
    const successor = await trust(scene.parties, next());
    one.file = successor.file;
    await one.watch.check();
    await one.watch.check();
    assert.deepEqual(one.told, ['serial 2']);
    assert.equal(one.follower.trust.id, successor.manifest.id);
    assert.ok(one.watch.isCurrent() && !one.watch.isRefused());
  });

  it('lags behind, without being refused, when the successor came from elsewhere', async () => {
    const one = watch();
    one.file = (await trust(scene.parties, scene.draft)).file;
    await one.watch.check();
    await one.follower.offer([(await trust(scene.parties, next())).file]);
    await one.watch.check();
    assert.ok(!one.watch.isCurrent() && !one.watch.isRefused());
  });

  it('is refused, said once, when the file is anything else, and mended by what is in force', async () => {
    const good = JSON.parse((await trust(scene.parties, next())).file) as {
      manifest: JsonObject;
      signatures: Record<string, string>;
    };
    const present = (await trust(scene.parties, scene.draft)).file;
    const cases: readonly (readonly [string | undefined, string])[] = [
      [undefined, 'unreadable'],
      ['', 'malformed'],
      ['{"manifest":', 'malformed'],
      [
        JSON.stringify({ ...good, signatures: { hospital: good.signatures['hospital'] } }),
        'quorum_missing',
      ],
      [
        JSON.stringify({ ...good, manifest: { ...good.manifest, lease: 901 } }),
        'signature_invalid',
      ],
      [JSON.stringify({ ...JSON.parse(present), signatures: good.signatures }), 'not_binding'],
      [(await trust(scene.parties, { ...next(), serial: 3 })).file, 'predecessor_mismatch'],
      [
        (await trust(scene.parties, next({ previous: '00'.repeat(32) }))).file,
        'predecessor_mismatch',
      ],
      [
        (await trust(scene.parties, next({ deployment: 'elsewhere' }))).file,
        'predecessor_mismatch',
      ],
    ];
    for (const [file, code] of cases) {
      const one = watch();
      one.file = file;
      await one.watch.check();
      await one.watch.check();
      assert.deepEqual(one.told, [code]);
      assert.ok(!one.watch.isCurrent() && one.watch.isRefused(), code);
      assert.equal(one.follower.trust.id, scene.manifest.id);
      one.file = present;
      await one.watch.check();
      assert.ok(one.watch.isCurrent() && !one.watch.isRefused(), code);
    }
  });
});
