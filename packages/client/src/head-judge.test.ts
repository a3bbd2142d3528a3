import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { HeadKeeper, headHash, signHead, type Verification } from '@cloister/attestation';
import { createHeadScene, type HeadScene } from '../../attestation/src/head/head-scene.test.ts';
import { AT } from '../../attestation/src/peer/scene.test.ts';
import type { HeadFeed } from './broker-heads.ts';
import { createHeadJudge } from './head-judge.ts';

const NOW = AT.getTime() / 1000;
let scene: HeadScene;
before(async () => {
  scene = await createHeadScene();
});

const headAt = (time: number) =>
  signHead(
    {
      deployment: 'lamna',
      party: 'hospital',
      manifest: scene.manifest.id,
      serial: 1,
      time,
      logSize: 4,
      logRoot: 'ab'.repeat(32),
    },
    scene.hospital.privateKey,
  );

/** A feed that knows some heads, and learns others when it is refreshed. */
async function feedOf(known: readonly string[], later: readonly string[], now = AT) {
  const options = { manifest: scene.manifest, ownParty: 'hospital', now: () => now };
  const keeper = new HeadKeeper(options);
  for (const head of known) await keeper.add(head);
  const state = { refreshed: 0 };
  const refresh = async (): Promise<Verification<never>> => {
    state.refreshed += 1;
    for (const head of later) await keeper.add(head);
    return { ok: false, code: 'unused', checks: [] };
  };
  const feed: HeadFeed = { keeper, refresh, next: [] };
  return { judge: createHeadJudge(feed), state };
}

describe('createHeadJudge', () => {
  it('takes what names a head of the last lease, without asking anybody', async () => {
    const [now, earlier] = [await headAt(NOW), await headAt(NOW - 900)];
    const { judge, state } = await feedOf([earlier, now], []);
    assert.ok((await judge([await headHash(earlier)])).ok);
    assert.equal(state.refreshed, 0);
  });

  it('asks once where a head is not known yet, however many ask', async () => {
    const [earlier, next] = [await headAt(NOW - 60), await headAt(NOW)];
    const { judge, state } = await feedOf([earlier], [next]);
    const hashes = [await headHash(next)];
    const verdicts = await Promise.all([judge(hashes), judge(hashes)]);
    assert.ok(verdicts.every(({ ok }) => ok));
    assert.equal(state.refreshed, 1);
  });

  it('refuses a head that is older than the lease, and one that nobody signed', async () => {
    const [now, old] = [await headAt(NOW), await headAt(NOW - 901)];
    const { judge } = await feedOf([old, now], []);
    const late = await judge([await headHash(old)]);
    assert.ok(!late.ok && late.code === 'head_too_old');
    const made = await judge(['00'.repeat(32)]);
    assert.ok(!made.ok && made.code === 'head_unknown');
  });

  it('refuses everything once its own newest head is older than the lease', async () => {
    const head = await headAt(NOW);
    const { judge } = await feedOf([head], [], new Date((NOW + 901) * 1000));
    const verdict = await judge([await headHash(head)]);
    assert.ok(!verdict.ok && verdict.code === 'head_too_old');
  });
});
