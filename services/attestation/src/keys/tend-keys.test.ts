import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeDeps } from '../fixture.test.ts';
import { openKeyRing } from './key-ring.ts';
import { tendKeys } from './tend-keys.ts';

describe('tendKeys', async () => {
  let seconds = 1_000_000;
  const now = () => new Date(seconds * 1000);
  const { deps, state, lines } = await makeDeps({ now });
  const keys = await openKeyRing({
    alg: 'ES256',
    secrets: undefined,
    certify: () => Promise.resolve(new Uint8Array()),
    now,
    overlapSeconds: 3600,
  });
  const tend = (keyDays: number) => tendKeys({ keys, state, keyDays, now, log: deps.log });

  it('makes a new key when the last is old enough, once', async () => {
    await tend(0);
    await tend(2);
    assert.equal(keys.published().length, 1);
    seconds += 2 * 86_400;
    await tend(0);
    assert.equal(keys.published().length, 1);
    await tend(2);
    await tend(2);
    assert.equal(keys.published().length, 2);
    assert.equal(await state.rotation(), 1);
    const [record] = await state.records(0, 10);
    assert.deepEqual([record?.actor, record?.operation], ['schedule', 'rotate-key']);
  });

  it('goes on when the keys cannot be read', async () => {
    const broken = { ...keys, reload: () => Promise.reject(new TypeError('CANARY')) };
    await tendKeys({ keys: broken, state, keyDays: 2, now, log: deps.log });
    assert.match(lines.join(''), /"event":"failed","route":"\/keys"/);
    assert.ok(!lines.join('').includes('CANARY'));
  });
});
