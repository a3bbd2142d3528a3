import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BrokerClient, createHeadFeed, type SecretQuery } from '@cloister/client';
import { createWorld, random, type World } from '../scene.test.ts';

const HOSPITAL = 'https://hospital.example';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

/**
 * A host that leads all who ask for the hospital's broker to the provider's: genuine code, admitted,
 * by the very manifest that is in force. Only its keys are not the hospital's.
 */
const redirected = (request: Request): Promise<Response> => {
  const { pathname, search } = new URL(request.url);
  return world.transport(new Request(`https://diagnostics.example${pathname}${search}`, request));
};

const misled = (): BrokerClient =>
  new BrokerClient({
    baseUrl: HOSPITAL,
    manifest: world.manifest,
    transport: redirected,
    now: world.now,
    random,
  });

describe('a genuine broker of another party in the place of the own one', () => {
  it('releases none of the secrets of the own party', async () => {
    const identity = await world.identity('records');
    for (const name of ['tenant-key', 'channel-key']) {
      const query: SecretQuery = { name, service: 'records', identity };
      const result = await misled().fetchSecret(query);
      assert.ok(!result.ok);
      assert.equal(result.code, 'secret_unknown');
      assert.ok((await world.client('hospital').fetchSecret(query)).ok);
    }
  });

  it('says nothing that counts of a counter', async () => {
    const result = await misled().readCounter('records-log');
    assert.ok(!result.ok);
    assert.equal(result.code, 'counter_unknown');
  });

  it('gives no time: its heads are signed by its own key', async () => {
    const feed = createHeadFeed({
      manifest: world.manifest,
      ownParty: 'hospital',
      now: world.now,
      transport: redirected,
      brokers: { hospital: HOSPITAL },
    });
    const verdict = await feed.refresh();
    assert.ok(!verdict.ok);
    assert.equal(verdict.code, 'sender_foreign');
    assert.equal(feed.keeper.newest(), undefined);
    assert.deepEqual(feed.keeper.hashes(), []);
  });
});
