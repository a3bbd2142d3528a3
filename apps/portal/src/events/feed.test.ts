import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addEvents, EMPTY_FEED, retryDelay } from './feed.ts';

const phase = (id: number, name: string, ok = true) => ({
  id,
  target: 'Task/a',
  kind: 'phase',
  phase: name,
  ok,
  ms: id,
});

describe('addEvents', () => {
  it('adds up phases and outcomes, newest notice first', () => {
    const feed = addEvents(EMPTY_FEED, [
      phase(1, 'verify-provider'),
      phase(2, 'infer', false),
      { id: 3, target: 'Task/a', kind: 'failed', code: 'receipt-invalid', time: 'T' },
      { id: 4, target: 'Task/b', kind: 'ready-for-review' },
      { id: 5, target: 'Patient/p', kind: 'ready-for-review' },
    ]);
    assert.deepEqual(feed.tasks.get('a'), {
      phases: { 'verify-provider': { ok: true, ms: 1 }, infer: { ok: false, ms: 2 } },
      outcome: 'failed',
      code: 'receipt-invalid',
    });
    assert.deepEqual(feed.notices, [
      { id: 4, task: 'b', kind: 'ready' },
      { id: 3, task: 'a', kind: 'failed', code: 'receipt-invalid', time: 'T' },
    ]);
    assert.equal(feed.cursor, 5);
  });

  it('is not changed by events that it has seen', () => {
    const once = addEvents(EMPTY_FEED, [{ id: 4, target: 'Task/b', kind: 'rejected' }]);
    assert.equal(addEvents(once, [{ id: 4, target: 'Task/b', kind: 'rejected' }]), once);
  });

  it('goes on from where the server says after a gap', () => {
    const feed = addEvents({ ...EMPTY_FEED, cursor: 90 }, [{ id: 7, target: '*', kind: 'resync' }]);
    assert.equal(feed.cursor, 7);
  });

  it('keeps a bounded list', () => {
    const many = Array.from({ length: 500 }, (_, i) => ({
      id: i + 1,
      target: `Task/${i}`,
      kind: 'ready-for-review',
    }));
    assert.equal(addEvents(EMPTY_FEED, many).notices.length, 200);
  });
});

describe('retryDelay', () => {
  it('grows from one second to a quarter of a minute, and half as much by chance', () => {
    assert.deepEqual(
      [0, 1, 2, 4, 5, 50].map((failures) => retryDelay(failures, 0)),
      [1000, 2000, 4000, 15_000, 15_000, 15_000],
    );
    assert.equal(retryDelay(1, 0.5), 2500);
  });
});
