import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServiceIdentity } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { encodeKeyConfigs } from '@cloister/channel';
import { createChannelIdentity } from './channel-identity.ts';
import { memorySecrets } from '../tools/test-secrets.ts';

const HOUR = 3600_000;

/** Secrets in memory, and a clock that can be set. */
function world() {
  const kept = new Map<string, Bytes>();
  const secrets = memorySecrets(kept);
  const state = { at: new Date('2026-11-24T00:00:00Z'), kept, identified: [] as Bytes[] };
  const make = () =>
    createChannelIdentity({
      secrets,
      kem: 'x25519',
      now: () => state.at,
      identify: (ohttp) => {
        state.identified.push(ohttp);
        return Promise.resolve({ ohttpKeys: ohttp } as unknown as ServiceIdentity);
      },
    });
  const later = (hours: number) => {
    state.at = new Date(state.at.getTime() + hours * HOUR);
  };
  return { state, make, later };
}

describe('createChannelIdentity', () => {
  it('keeps the key over a restart', async () => {
    const { make, later } = world();
    const first = await make();
    later(5);
    const second = await make();
    assert.deepEqual(second.ohttpKeys, first.ohttpKeys);
    assert.equal(second.keys().length, 1);
  });

  it('makes a new key after 23 hours, and lets go of the old one after 24', async () => {
    const { make, later, state } = world();
    const identity = await make();
    const old = identity.ohttpKeys;
    later(22.9);
    await identity.renew();
    assert.deepEqual(identity.ohttpKeys, old);
    later(0.2);
    await identity.renew();
    assert.notDeepEqual(identity.ohttpKeys, old);
    assert.deepEqual(state.identified.at(-1), identity.ohttpKeys);
    const [current, previous] = identity.keys();
    assert.deepEqual(current && encodeKeyConfigs(current), identity.ohttpKeys);
    assert.deepEqual(previous && encodeKeyConfigs(previous), old);
    assert.notEqual(current?.config.keyId, previous?.config.keyId);
    later(1);
    assert.equal(identity.keys().length, 1);
  });

  it('does not take up a key that has ended, is of the future, of another kind or spoilt', async () => {
    const cases: ((w: ReturnType<typeof world>) => void)[] = [
      ({ later }) => later(25),
      ({ later }) => later(-1),
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
