import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { createScene, trust, type Scene } from '../scene.test.ts';
import { watchTrust, type TrustWatch } from './trust-watch.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});

const NOW = 1_000_000;

/** A watch over a file that says what the test writes into it. */
function watch(): {
  readonly watch: TrustWatch;
  file: string | undefined;
  readonly told: string[];
} {
  const told: string[] = [];
  const state: { file: string | undefined } = { file: undefined };
  return Object.assign(state, {
    told,
    watch: watchTrust({
      first: scene.manifest,
      read: async () => state.file ?? Promise.reject(new Error('gone')),
      now: () => NOW,
      onChange: ({ manifest }) => told.push(`serial ${manifest.manifest.serial}`),
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

describe('watchTrust', () => {
  it('takes a signed successor, once, and remembers the one before for a lease', async () => {
    const one = watch();
    one.file = (await trust(scene.parties, scene.draft)).file;
    await one.watch.check();
    assert.deepEqual(one.told, []);
    const successor = await trust(scene.parties, next());
    one.file = successor.file;
    await one.watch.check();
    await one.watch.check();
    assert.deepEqual(one.told, ['serial 2']);
    const current = one.watch.current();
    assert.equal(current.manifest.id, successor.manifest.id);
    assert.deepEqual(current.before, { manifest: scene.manifest, until: NOW + 900_000 });
    assert.ok(one.watch.isCurrent());
  });

  it('keeps what is in force when the file is anything else, and says so once', async () => {
    const stranger = await createScene();
    const { hospital } = scene.parties;
    assert.ok(hospital !== undefined);
    const bySome = await trust({ ...stranger.parties, hospital }, next()).catch(() => undefined);
    assert.equal(bySome, undefined);
    const good = JSON.parse((await trust(scene.parties, next())).file) as {
      manifest: JsonObject;
      signatures: Record<string, string>;
    };
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
      [(await trust(scene.parties, { ...next(), serial: 3 })).file, 'predecessor_mismatch'],
      [
        (await trust(scene.parties, next({ previous: '00'.repeat(32) }))).file,
        'predecessor_mismatch',
      ],
      [
        (await trust(scene.parties, next({ deployment: 'elsewhere' }))).file,
        'predecessor_mismatch',
      ],
      [
        (await trust(scene.parties, next({ cache: { roles: { records: '+eval' } } }))).file,
        'roles',
      ],
    ];
    for (const [file, code] of cases) {
      const one = watch();
      one.file = file;
      await one.watch.check();
      await one.watch.check();
      assert.deepEqual(one.told, [code]);
      assert.ok(!one.watch.isCurrent());
      assert.equal(one.watch.current().manifest.id, scene.manifest.id);
      one.file = (await trust(scene.parties, scene.draft)).file;
      await one.watch.check();
      assert.ok(one.watch.isCurrent(), code);
    }
  });
});
