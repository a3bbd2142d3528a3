import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ManifestFile } from '@cloister/attestation';
import { BrokerError } from '../broker-error.ts';
import { createWorld, type PartyName, type World } from '../scene.test.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

/** What comes of a manifest file: who has signed by then, `active`, or why it was refused. */
async function give(file: ManifestFile): Promise<readonly string[] | string> {
  const { broker } = world.running.get('hospital') ?? assert.fail();
  try {
    const outcome = await broker.activate(file);
    return 'pending' in outcome ? outcome.pending.signers : 'active';
  } catch (error) {
    assert.ok(error instanceof BrokerError, String(error));
    return error.details.reason ?? error.code;
  }
}

/** The signature of one party under a manifest, said to be of these parties. */
const acknowledge = async (
  file: ManifestFile,
  from: PartyName,
  as: readonly string[],
): Promise<ManifestFile> => {
  const signature = file.signatures[from] ?? assert.fail();
  return {
    manifest: file.manifest,
    signatures: Object.fromEntries(as.map((party) => [party, signature])),
  };
};

describe('the quorum of a manifest', () => {
  it('is not reached by the same party twice, in one file or in several', async () => {
    const file = await world.sign(world.next({ lease: 700 }));
    const platform = await acknowledge(file, 'platform', ['platform']);
    assert.deepEqual(await give(platform), ['platform']);
    assert.deepEqual(await give(platform), ['platform']);
    assert.equal(
      await give(await acknowledge(file, 'platform', ['platform', 'hospital', 'diagnostics'])),
      'signature_invalid',
    );
    assert.deepEqual(await give(await acknowledge(file, 'diagnostics', ['diagnostics'])), [
      'diagnostics',
      'platform',
    ]);
    assert.equal(
      await give(await acknowledge(file, 'platform', ['hospital'])),
      'signature_invalid',
    );
    assert.equal(world.running.get('hospital')?.broker.trust?.id, world.manifest.id);
  });

  it('is not reached by an acknowledgement of other bytes, or of an earlier manifest', async () => {
    const [one, other, earlier] = [
      await world.sign(world.next({ lease: 701 })),
      await world.sign(world.next({ lease: 702 })),
      await world.sign(world.draft),
    ];
    for (const { signatures } of [other, earlier])
      assert.equal(
        await give({
          ...one,
          signatures: { ...one.signatures, hospital: signatures['hospital'] ?? '' },
        }),
        'signature_invalid',
      );
    assert.equal(await give(one), 'active');
  });
});
