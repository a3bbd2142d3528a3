import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClientError, type StudyView } from '@cloister/client';
import { afterCancel } from './after-cancel.ts';

const study = (id: string): StudyView => ({ id, patient: 'p', modality: 'CR' });

/** What is said where the record has these studies after the wait. */
async function outcome(before: readonly string[] | undefined, now: readonly string[] | Error) {
  const order: string[] = [];
  const result = await afterCancel({
    before,
    async wait() {
      order.push('wait');
    },
    async studies() {
      order.push('look');
      if (now instanceof Error) throw now;
      return now.map(study);
    },
  });
  return [result, ...order];
}

describe('afterCancel', () => {
  it('looks, after a while, whether there is a study that was not there', async () => {
    assert.deepEqual(await outcome(['a'], ['a']), ['not-stored', 'wait', 'look']);
    assert.deepEqual(await outcome(['a'], ['a', 'b']), ['stored', 'wait', 'look']);
    assert.deepEqual(await outcome([], ['b']), ['stored', 'wait', 'look']);
  });

  it('does not say what it cannot know', async () => {
    assert.deepEqual(await outcome(undefined, ['a']), ['unknown']);
    const down = new ClientError('unavailable', 'search');
    assert.deepEqual(await outcome([], down), ['unknown', 'wait', 'look']);
    await assert.rejects(outcome([], new TypeError('a bug')), TypeError);
  });
});
