import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServiceIdentity } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { type ChannelKeys, encodeKeyConfigs } from '@cloister/channel';
import { memorySecrets } from '../tools/test-secrets.ts';
import { createChannelIdentity } from './channel-identity.ts';
import { createSealedChannelKeys } from './channel-keys.ts';

const HOUR = 3600_000;
const SPAN = 22 * HOUR;

/** Shared secrets, and a clock that can be set: at first one hour and a bit into a span. */
function world() {
  const kept = new Map<string, Bytes>();
  const secrets = memorySecrets(kept);
  const state = { at: 22_000 * SPAN + 1.1 * HOUR, kept, identified: [] as Bytes[] };
  const now = (): Date => new Date(state.at);
  const make = () =>
    createChannelIdentity({
      source: createSealedChannelKeys({ secrets, kem: 'x25519', now }),
      now,
      identify: (ohttp) => {
        state.identified.push(ohttp);
        return Promise.resolve({ ohttpKeys: ohttp } as unknown as ServiceIdentity);
      },
    });
  const later = (hours: number): void => {
    state.at += hours * HOUR;
  };
  return { state, make, later };
}
const configs = (keys: readonly ChannelKeys[]) => keys.map((key) => encodeKeyConfigs(key));
const opens = (keys: readonly ChannelKeys[], shown: Bytes | undefined): boolean =>
  configs(keys).some((config) => Buffer.from(config).equals(shown ?? new Uint8Array()));

describe('createChannelIdentity', () => {
  it('keeps the key over a restart', async () => {
    const { make, later } = world();
    const first = await make();
    later(5);
    const second = await make();
    assert.deepEqual(second.ohttpKeys, first.ohttpKeys);
    assert.equal(second.keys().length, 1);
  });

  it('gives replicas that start together the same key', async () => {
    const { make, state } = world();
    const replicas = await Promise.all([make(), make(), make()]);
    for (const { ohttpKeys } of replicas) assert.deepEqual(ohttpKeys, replicas[0]?.ohttpKeys);
    assert.equal(state.kept.size, 1);
  });

  it('shows another key every 22 hours, and lets go of the old one an hour later', async () => {
    const { make, later, state } = world();
    const identity = await make();
    const old = identity.ohttpKeys;
    later(20.8);
    await identity.renew();
    assert.deepEqual(identity.ohttpKeys, old);
    later(0.2);
    await identity.renew();
    assert.notDeepEqual(identity.ohttpKeys, old);
    assert.deepEqual(state.identified.at(-1), identity.ohttpKeys);
    const [current, previous] = identity.keys();
    assert.deepEqual(configs(identity.keys()), [identity.ohttpKeys, old]);
    assert.notEqual(current?.config.keyId, previous?.config.keyId);
    // Without a renewal too: a key ends when its time is over.
    later(0.95);
    assert.deepEqual(configs(identity.keys()), [identity.ohttpKeys]);
    await identity.renew();
    assert.equal(state.kept.size, 1, 'the old key is nowhere');
  });

  it('opens in every replica what any of them shows, at every moment of a day', async () => {
    const { make, later } = world();
    const replicas = [await make(), await make()];
    // Renewed every ten minutes, but never at the same time.
    for (let minutes = 0; minutes < 30 * 60; minutes += 5) {
      later(1 / 12);
      await replicas[(minutes / 5) % 2]?.renew();
      for (const { ohttpKeys } of replicas)
        for (const { keys } of replicas) assert.ok(opens(keys(), ohttpKeys), `minute ${minutes}`);
    }
  });

  it('does not take up a key that has ended, is of the future or is lost', async () => {
    const cases: ((w: ReturnType<typeof world>) => void)[] = [
      ({ later }) => later(25),
      ({ later }) => later(-23),
      ({ state }) => state.kept.clear(),
    ];
    for (const change of cases) {
      const here = world();
      const { ohttpKeys } = await here.make();
      change(here);
      assert.notDeepEqual((await here.make()).ohttpKeys, ohttpKeys);
    }
  });
});
