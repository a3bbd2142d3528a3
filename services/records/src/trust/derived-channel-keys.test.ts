import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Kem, SecretVersion } from '@cloister/attestation';
import { encodeKeyConfigs, type ChannelKeys } from '@cloister/channel';
import type { ChannelKeySet } from '../channel-keys.ts';
import { createDerivedChannelKeys } from './derived-channel-keys.ts';

const LEASE = 900;
const DAY = 86_400;
const NOON = 20_000 * DAY + DAY / 2;
const key = (number: number, from = 0): SecretVersion => ({
  version: number,
  value: new Uint8Array(32).fill(number),
  from,
});

const shown = ({ shown: keys }: ChannelKeySet) => encodeKeyConfigs(keys);

describe('createDerivedChannelKeys', () => {
  let seconds: number;
  let versions: SecretVersion[];
  let kems: Kem[];
  beforeEach(() => {
    seconds = NOON;
    versions = [key(1)];
    kems = ['x25519'];
  });
  const replica = (deployment = 'lamna') =>
    createDerivedChannelKeys({
      secret: () => ({ versions }),
      deployment,
      kems: () => kems,
      lease: () => LEASE,
      now: () => new Date(seconds * 1000),
    });
  const opened = (set: ChannelKeySet) =>
    set.accepted
      .filter(({ until }) => until > seconds * 1000)
      .map(({ keys }) => encodeKeyConfigs(keys).toString());

  it('shows the same key in all replicas and after a restart, and opens what is sent to it', async () => {
    const [one, other] = await Promise.all([replica().load(), replica().load()]);
    assert.deepEqual(shown(one), shown(other));
    assert.ok(opened(one).includes(shown(other).toString()));
  });

  it('shows another key in another deployment, on another day, by another tenant key', async () => {
    const source = replica();
    const keys = [shown(await source.load()), shown(await replica('fabrikam').load())];
    seconds += DAY;
    keys.push(shown(await source.load()));
    versions = [key(2), key(1)];
    keys.push(shown(await source.load()));
    assert.equal(new Set(keys.map(String)).size, 4);
  });

  it('is X-Wing unless the manifest says otherwise', async () => {
    kems = ['x-wing'];
    assert.equal((await replica().load()).shown.config.kem, 'x-wing');
    kems = ['p-256', 'x-wing'];
    assert.equal((await replica().load()).shown.config.kem, 'p-256');
  });

  it('opens what is sent to yesterday’s key for one lease, and to tomorrow’s already', async () => {
    const source = replica();
    const yesterday = shown(await source.load()).toString();
    seconds = 20_001 * DAY + LEASE - 1;
    const set = await source.load();
    assert.ok(opened(set).includes(yesterday));
    const today = shown(set).toString();
    seconds = 20_001 * DAY + LEASE;
    assert.ok(!opened(await source.load()).includes(yesterday));
    seconds = 20_001 * DAY - 1;
    assert.ok(opened(await source.load()).includes(today));
  });

  it('opens what is sent to keys of a replaced tenant key for one lease', async () => {
    const source = replica();
    const before = shown(await source.load()).toString();
    versions = [key(2, seconds), key(1)];
    const set = await source.load();
    assert.notEqual(shown(set).toString(), before);
    seconds += LEASE - 1;
    assert.ok(opened(await source.load()).includes(before));
    seconds += 1;
    assert.ok(!opened(await source.load()).includes(before));
  });

  it('gives no two keys that are open at one time the same id', async () => {
    versions = [5, 4, 3, 2, 1].map((number) => key(number, number === 5 ? NOON : 0));
    const { accepted } = await replica().load();
    const ids = accepted.map(({ keys }: { keys: ChannelKeys }) => keys.config.keyId);
    assert.equal(ids.length, 15 - 5);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('shows none where no tenant key has begun', async () => {
    versions = [key(1, NOON + 1)];
    await assert.rejects(replica().load(), { code: 'bad_config' });
  });
});
