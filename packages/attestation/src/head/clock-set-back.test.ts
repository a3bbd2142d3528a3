import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AT } from '../peer/scene.test.ts';
import { createHeadScene, type HeadScene } from './head-scene.test.ts';
import { HeadKeeper } from './head-keeper.ts';
import { signHead } from './head.ts';

const DAY = 86_400_000;
const LEASE = 900_000;

let s: HeadScene;
before(async () => {
  s = await createHeadScene();
});

/** A keeper with a head of now, and the two clocks that its host can meddle with. */
async function keep(wall: number) {
  const clocks = { wall, monotonic: 5 };
  const keeper = new HeadKeeper({
    manifest: s.manifest,
    ownParty: 'hospital',
    now: () => new Date(clocks.wall),
    monotonic: () => clocks.monotonic,
  });
  const head = {
    deployment: 'lamna',
    party: 'hospital',
    manifest: s.manifest.id,
    serial: 1,
    time: AT.getTime() / 1000,
    logSize: 4,
    logRoot: 'ab'.repeat(32),
  };
  const added = await keeper.add(await signHead(head, s.hospital.privateKey));
  assert.ok(added.ok, JSON.stringify(added.checks));
  return { keeper, clocks };
}

const codeOf = (result: { ok: boolean; code?: string }) => (result.ok ? 'ok' : result.code);

describe('a host that withholds heads and sets its clock back', () => {
  it('does not keep the lease from ending', async () => {
    const { keeper, clocks } = await keep(AT.getTime());
    clocks.wall -= DAY;
    clocks.monotonic += LEASE;
    assert.equal(keeper.now().getTime(), AT.getTime() + LEASE);
    assert.equal(codeOf(keeper.check()), 'ok');
    clocks.monotonic += 1000;
    assert.equal(codeOf(keeper.check()), 'head_too_old');
  });

  it('does not either where it was set back from the beginning', async () => {
    const { keeper, clocks } = await keep(0);
    // Nobody asks for the time meanwhile: it has run on from the head all the same.
    clocks.monotonic += LEASE + 1000;
    assert.equal(codeOf(keeper.check()), 'head_too_old');
  });

  it('is forgiven where its clock was ahead by mistake, and is right again', async () => {
    const { keeper, clocks } = await keep(AT.getTime());
    clocks.wall += DAY;
    assert.equal(codeOf(keeper.check()), 'head_too_old');
    clocks.wall -= DAY;
    clocks.monotonic += 1000;
    assert.equal(codeOf(keeper.check()), 'ok');
  });
});
