import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createScene, trust, type Scene } from '../scene.test.ts';
import { readableRolesOf, rolesOf } from './roles.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});

describe('the roles of a manifest', () => {
  it('are found by the names of services', () => {
    assert.deepEqual([...rolesOf(scene.manifest).keys()].toSorted(), ['reader', 'records']);
  });

  it('that cannot be read refuse a start, and later give nothing to anybody', async () => {
    const roles = { reader: '~r:* +@read', records: '~records:* +eval' };
    const { manifest } = await trust(scene.parties, { ...scene.draft, cache: { roles } });
    assert.throws(() => rolesOf(manifest), { name: 'ConfigError' });
    const read = readableRolesOf(manifest);
    assert.deepEqual([...read.roles.keys()], ['reader']);
    assert.equal(read.unreadable, 1);
  });
});
