import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Verification } from '@cloister/attestation';
import { followHeads } from './follow-heads.ts';

const good: Verification<unknown> = { ok: true, claims: undefined, checks: [] };
const bad = (code: string): Verification<unknown> => ({ ok: false, code, checks: [] });

function source(verdicts: readonly Verification<unknown>[], lease: number) {
  const failures: string[] = [];
  const state = { asked: 0 };
  const options = {
    refresh: async () => verdicts[Math.min(state.asked++, verdicts.length - 1)] ?? good,
    lease,
    onFailure: (code: string) => failures.push(code),
  };
  return { options, failures, state };
}

describe('followHeads', () => {
  it('waits for the first head of the own party', async () => {
    const { options, failures } = source([bad('own_head_missing'), good], 900);
    (await followHeads(options))();
    assert.deepEqual(failures, ['own_head_missing']);
  });

  it('does not begin under a manifest that is no longer in force, or under another broker', async () => {
    for (const code of ['manifest_superseded', 'sender_foreign'])
      await assert.rejects(followHeads(source([bad(code)], 900).options), { code: 'bad_config' });
  });

  it('begins under the manifest that it finds where a newer one is in force', async () => {
    const { options, failures } = source([bad('manifest_superseded'), good], 900);
    let looks = 0;
    const catchUp = () => Promise.resolve(void looks++);
    (await followHeads({ ...options, catchUp }))();
    assert.equal(looks, 1);
    assert.deepEqual(failures, []);
  });

  it('hears of a newer manifest by the next head, and goes on under it', async () => {
    const { options, failures } = source([good], 900);
    const said = [bad('manifest_superseded'), good];
    let heard = 0;
    let looks = 0;
    const stop = await followHeads({
      ...options,
      lease: 0.015,
      next: [() => Promise.resolve(said[heard++] ?? good)],
      catchUp: () => Promise.resolve(void looks++),
    });
    const heardAll = (): boolean => heard >= 2;
    while (!heardAll()) await wait(1);
    stop();
    assert.equal(looks, 1);
    assert.deepEqual(failures, []);
  });

  it('looks again fifteen times per lease, and says what is wrong by then', async () => {
    const { options, failures, state } = source([good, good, bad('head_too_old')], 0.15);
    const stop = await followHeads(options);
    await wait(60);
    stop();
    const { asked } = state;
    assert.ok(asked > 2, `${asked}`);
    assert.ok(failures.length > 0 && failures.every((code) => code === 'head_too_old'));
    await wait(30);
    assert.equal(state.asked, asked, 'stopped');
  });
});
