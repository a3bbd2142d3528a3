import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SecretVersion } from '@cloister/attestation';
import type { ServiceIdentity } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import {
  type ChannelKeys,
  createChannelKeys,
  encodeKeyConfigs,
  exportChannelKeys,
} from '@cloister/channel';
import { releaseOf } from '../tools/test-release.ts';
import { createChannelIdentity } from './channel-identity.ts';
import { createReleasedChannelKeys } from './trust/released-keys.ts';

const LEASE = 900;
const DAY = 86_400;

async function version(number: number, from: number, until?: number): Promise<SecretVersion> {
  const value = exportChannelKeys(await createChannelKeys({ kem: 'x25519', keyId: number }));
  return { version: number, value, from, ...(until === undefined ? {} : { until }) };
}

/** Replicas that ask one broker, and a clock that can be set: seconds. */
async function world(kems: readonly ('x25519' | 'x-wing')[] = ['x25519']) {
  const state = {
    at: 0,
    versions: [await version(1, 0)],
    identified: [] as Bytes[],
    /** Evidence takes so long. */
    wait: Promise.resolve(),
  };
  const now = (): Date => new Date(state.at * 1000);
  const make = () =>
    createChannelIdentity({
      source: createReleasedChannelKeys({
        secret: () => releaseOf('channel-key', 'hpke', state.versions),
        kems: () => kems,
        now,
      }),
      now,
      identify: (ohttp) => {
        state.identified.push(ohttp);
        return state.wait.then(() => ({ ohttpKeys: ohttp }) as unknown as ServiceIdentity);
      },
    });
  return { state, make };
}
const configs = (keys: readonly ChannelKeys[]) => keys.map((key) => encodeKeyConfigs(key));

describe('createChannelIdentity with released keys', () => {
  it('shows the same key in all replicas and after a restart', async () => {
    const { make } = await world();
    const replicas = [await make(), await make()];
    assert.deepEqual(replicas[0]?.ohttpKeys, replicas[1]?.ohttpKeys);
    assert.equal(replicas[0]?.keys().length, 1);
  });

  it('opens with the next key before it is shown, and with the old one for a lease after', async () => {
    const { make, state } = await world();
    const identity = await make();
    const old = identity.ohttpKeys;
    const [first] = state.versions;
    assert.ok(first);
    // As the broker does it: the next one two leases ahead, the old one ends a lease afterwards.
    const next = await version(2, DAY);
    state.versions = [next, { ...first, until: DAY + LEASE }];
    state.at = DAY - LEASE;
    await identity.renew();
    assert.deepEqual(identity.ohttpKeys, old);
    assert.equal(identity.keys().length, 2);
    state.at = DAY;
    await identity.renew();
    assert.notDeepEqual(identity.ohttpKeys, old);
    assert.deepEqual(state.identified.at(-1), identity.ohttpKeys);
    assert.deepEqual(configs(identity.keys()), [identity.ohttpKeys, old]);
    // Without a renewal too: a key ends when its time is over.
    state.at = DAY + LEASE;
    assert.deepEqual(configs(identity.keys()), [identity.ohttpKeys]);
  });

  it('lets go at once of a key that the broker has replaced', async () => {
    const { make, state } = await world();
    const identity = await make();
    const old = identity.ohttpKeys;
    state.at = 50;
    state.versions = [await version(2, 50)];
    await identity.renew();
    assert.notDeepEqual(identity.ohttpKeys, old);
    assert.deepEqual(configs(identity.keys()), [identity.ohttpKeys]);
  });

  it('opens with the replaced key and the new one until there is evidence of the new one', async () => {
    const { make, state } = await world();
    const identity = await make();
    const old = identity.ohttpKeys;
    const made = Promise.withResolvers<void>();
    state.at = 50;
    state.versions = [await version(2, 50)];
    state.wait = made.promise;
    const renewed = identity.renew();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    assert.deepEqual(identity.ohttpKeys, old, 'what is shown');
    assert.deepEqual(configs(identity.keys()), [state.identified.at(-1), old]);
    made.resolve();
    await renewed;
    assert.deepEqual(configs(identity.keys()), [identity.ohttpKeys]);
  });

  it('takes no key of a KEM that the manifest does not admit, and none that has not begun', async () => {
    const { make } = await world(['x-wing']);
    await assert.rejects(make(), { code: 'bad_config' });
    const early = await world();
    early.state.versions = [await version(1, 10)];
    await assert.rejects(early.make(), { code: 'bad_config' });
  });
});
