import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ManifestFile } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import { BrokerError } from '../broker-error.ts';
import {
  createEmptyWorld,
  createWorld,
  firstDraft,
  type PartyName,
  type World,
} from '../scene.test.ts';
import { encodeFile } from './manifest-book.ts';

/** Why a broker refused, by the check that failed. */
async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'taken';
  } catch (error) {
    assert.ok(error instanceof BrokerError, String(error));
    return error.details.reason ?? error.code;
  }
}

describe('the first manifest', () => {
  it('waits for the quorum: uninitialised, awaiting-quorum, then in force', async () => {
    const world = await createEmptyWorld();
    const { broker } = await world.start('hospital');
    const other = await world.start('diagnostics');
    assert.equal(broker.phase, 'uninitialised');
    const draft = await firstDraft(world);
    const parties: readonly PartyName[] = ['diagnostics', 'hospital', 'platform'];
    for (const [i, party] of parties.entries()) {
      const outcome = await broker.activate(await world.sign(draft, [party]));
      if (i < 2) {
        assert.ok('pending' in outcome);
        assert.deepEqual(outcome.pending.signers, parties.slice(0, i + 1));
        assert.equal(broker.phase, 'awaiting-quorum');
      } else assert.ok('active' in outcome);
    }
    // Now its witness has to speak, and that one has the manifest too.
    assert.equal(broker.phase, 'awaiting-witness');
    await other.broker.activate(await world.sign(draft));
    await world.tick();
    assert.equal(broker.phase, 'active');
    await world.close();
  });

  it('keeps the signatures that came over a restart', async () => {
    const world = await createEmptyWorld();
    await world.start('hospital');
    const draft = await firstDraft(world);
    const first = world.running.get('hospital') ?? assert.fail();
    await first.broker.activate(await world.sign(draft, ['hospital', 'platform']));
    await first.stop();
    const { broker } = await world.start('hospital');
    assert.equal(broker.phase, 'awaiting-quorum');
    assert.deepEqual(broker.pending?.missing, ['diagnostics']);
    const outcome = await broker.activate(await world.sign(draft, ['diagnostics']));
    assert.ok('active' in outcome);
    await world.close();
  });

  it('is told by a secret that nothing is released before it is in force', async () => {
    const world = await createEmptyWorld();
    const { app, broker } = await world.start('hospital');
    const ready = await app.request('/health/ready');
    assert.equal(ready.status, 503);
    assert.throws(() => broker.requireActive(), { code: 'uninitialised' });
    const head = await app.request('/v1/head');
    assert.equal(head.status, 503);
    const quote = await app.request('/v1/quote');
    assert.equal(quote.status, 200);
    await world.close();
  });
});

const keysOf = (party: JsonObject | undefined) => (party?.['keys'] ?? []) as JsonObject[];
const brokerOf = (party: JsonObject | undefined) =>
  ((party?.['broker'] ?? {}) as { sig: JsonObject }).sig;

describe('the next manifest', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());
  const broker = () => (world.running.get('hospital') ?? assert.fail()).broker;
  const give = (draft: JsonObject, parties?: readonly PartyName[]) =>
    world.sign(draft, parties).then((file) => broker().activate(file));

  it('is refused with a serial or a predecessor that does not fit: reordered, skipped', async () => {
    for (const changes of [
      { serial: 3 },
      { serial: 2, previous: 'cd'.repeat(32) },
      { deployment: 'elsewhere' },
    ])
      assert.equal(await refusal(give(world.next(changes))), 'predecessor_mismatch');
    assert.equal(broker().trust?.id, world.manifest.id);
  });

  it('is not put in force by a short quorum, nor by the signature of one party for two', async () => {
    const draft = world.next({ lease: 600 });
    const outcome = await give(draft, ['hospital', 'diagnostics']);
    assert.ok('pending' in outcome);
    assert.deepEqual(outcome.pending.missing, ['platform']);
    assert.equal(broker().trust?.id, world.manifest.id);
    const file = await world.sign(draft, ['hospital', 'diagnostics']);
    const doubled: ManifestFile = {
      manifest: file.manifest,
      signatures: { ...file.signatures, platform: file.signatures['hospital'] ?? '' },
    };
    assert.equal(await refusal(broker().activate(doubled)), 'signature_invalid');
  });

  it('binds nobody whose own party has not signed, be the quorum as it may', async () => {
    // Two of three would do: but the hospital is not bound by what the other two agree on.
    const w = await createWorld({
      quorum: { update: { of: ['hospital', 'platform', 'diagnostics'], min: 2 } },
    });
    const draft = w.next({ lease: 600 });
    const { hospital, diagnostics } = {
      hospital: w.running.get('hospital') ?? assert.fail(),
      diagnostics: w.running.get('diagnostics') ?? assert.fail(),
    };
    const file = await w.sign(draft, ['platform', 'diagnostics']);
    assert.ok('active' in (await diagnostics.broker.activate(file)));
    const outcome = await hospital.broker.activate(file);
    assert.ok('pending' in outcome);
    assert.equal(hospital.broker.trust?.id, w.manifest.id);
    await w.close();
  });

  it('is refused where it names another key for this broker', async () => {
    const { parties } = world.draft as { parties: Record<string, JsonObject> };
    const swapped = {
      ...parties,
      hospital: {
        ...parties['hospital'],
        broker: { sig: keysOf(parties['platform'])[0] ?? {} },
      },
      platform: {
        keys: [brokerOf(parties['hospital'])],
      },
    };
    const draft = world.next({ parties: swapped });
    assert.equal(await refusal(give(draft)), 'broker_not_named');
  });

  it('is in force at once, for evidence and heads; the one before is refused from then on', async () => {
    const running = world.running.get('hospital') ?? assert.fail();
    const earlier = await world.sign(world.draft);
    const evidence = async () => {
      const { runtimeData } = await running.identity.evidence();
      return (JSON.parse(new TextDecoder().decode(runtimeData)) as { manifests: string[] })
        .manifests;
    };
    const first = world.manifest.id;
    assert.deepEqual(await evidence(), [first]);
    const headBefore = running.broker.heads.newest?.hash;
    const waiting = running.broker.heads.wait(headBefore ?? '', 5000);
    world.pass(1);
    const trusted = await world.agree(world.next({ lease: 600 }));
    await waiting;
    assert.deepEqual(await evidence(), [trusted.id]);
    assert.notEqual(running.broker.heads.newest?.hash, headBefore);
    // The same again changes nothing; what was before is replayed in vain.
    const again = await running.broker.activate(await world.sign(world.draft));
    assert.deepEqual(again, { active: trusted.id, serial: 2 });
    assert.equal(await refusal(running.broker.activate(earlier)), 'predecessor_mismatch');
    const history = await running.app.request('/v1/manifest/history');
    const { manifests } = (await history.json()) as {
      manifests: { manifest: { serial: number } }[];
    };
    assert.deepEqual(
      manifests.map(({ manifest }) => manifest.serial),
      [1, 2],
    );
  });

  it('is kept over a restart, with its chain', async () => {
    await world.running.get('hospital')?.stop();
    const { broker: reopened } = await world.start('hospital');
    assert.equal(reopened.trust?.id, world.manifest.id);
    await world.tick();
    assert.equal(reopened.phase, 'active');
  });

  it('comes over the wire as a file, refused with the JSON pointer of what is wrong', async () => {
    const { app } = world.running.get('hospital') ?? assert.fail();
    const post = (body: string) => app.request('/v1/manifest', { method: 'POST', body });
    const file = await world.sign(world.next({ lease: 900 }));
    const good = new TextDecoder().decode(encodeFile(file));
    const bad = await post(good.replace('"lease":900', '"lease":0'));
    assert.equal(bad.status, 400);
    assert.match(((await bad.json()) as { detail: string }).detail, /\/lease/);
    assert.equal((await post('{}')).status, 400);
    const unsigned = await post(good.replace(/"signatures":\{.*$/, '"signatures":{}}'));
    assert.equal(unsigned.status, 409);
    const taken = await post(good);
    assert.equal(taken.status, 200);
    await world.follow(file, world.next({ lease: 900 }));
  });
});
