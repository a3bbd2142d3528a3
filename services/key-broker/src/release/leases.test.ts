import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { currentVersion } from '@cloister/client';
import { createWorld, type World } from '../scene.test.ts';

describe('POST /v1/leases/{secret}', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  it('releases a generated secret to the service that the manifest names', async () => {
    const identity = await world.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    const result = await world.client('hospital').fetchSecret(query);
    assert.ok(result.ok, JSON.stringify(result));
    const { versions, owner, epoch, exp, manifest } = result.claims;
    assert.deepEqual(
      { owner, epoch, manifest, versions: versions.map(({ version }) => version) },
      { owner: 'hospital', epoch: 1, manifest: world.manifest.id, versions: [1] },
    );
    assert.equal(currentVersion(result.claims, world.at)?.value.length, 32);
    assert.equal(exp, world.at.getTime() / 1000 + 900);
    // A replica gets the same one.
    const other = await world.client('hospital').fetchSecret({
      ...query,
      identity: await world.identity('records'),
    });
    assert.ok(other.ok);
    assert.deepEqual(other.claims.versions, versions);
  });
});
