import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClientError, type EventBatch, type RecordsEvent } from '@cloister/client';
import { followEvents, SILENCE_MS } from './follow-events.ts';

const event = (id: number): RecordsEvent => ({ id, target: `Task/${id}`, kind: 'phase' });
const batch = (cursor: number, ...ids: number[]): EventBatch => ({
  cursor,
  events: ids.map(event),
});
const SILENCE = 'silence';
type Step = EventBatch | Error | typeof SILENCE;

/**
 * Follows a server that answers so: each question is one step, each stream a list of them, and behind
 * the last one everything is over. Gives what was asked and heard, in order.
 */
async function follow(script: { asks: readonly Step[]; streams: readonly (readonly Step[])[] }) {
  const asks = [...script.asks];
  const streams = [...script.streams];
  const log: string[] = [];
  const stop = new AbortController();
  const run = (step: Step): EventBatch => {
    if (step instanceof Error) throw step;
    assert.notEqual(step, SILENCE);
    return step as EventBatch;
  };
  const error = await followEvents({
    source: {
      async events(cursor, wait) {
        log.push(`ask ${cursor} ${wait}`);
        const next = asks.shift();
        if (next !== undefined) return run(next);
        stop.abort();
        return batch(cursor);
      },
      async *eventStream(cursor, signal) {
        log.push(`stream ${cursor}`);
        for (const step of streams.shift() ?? []) {
          if (step === SILENCE)
            await new Promise((resolve) => {
              signal.addEventListener('abort', resolve);
            });
          else yield run(step);
        }
      },
    },
    signal: stop.signal,
    onEvents: (events, first) =>
      log.push(`${first ? 'before' : 'events'} ${events.map(({ id }) => id).join(' ')}`),
    onFailure: (failure) => log.push(failure === undefined ? 'up' : 'down'),
    isOver: (failure) => failure instanceof ClientError && failure.code === 'unauthorized',
    async pause(ms, signal) {
      if (ms !== SILENCE_MS) {
        log.push(`pause ${ms}`);
        return;
      }
      // Nothing comes for so long only where the script says so: everything else is there at once.
      for (let turn = 0; turn < 20 && !signal.aborted; turn++) await Promise.resolve();
    },
    random: () => 0,
  });
  return { log, error };
}

describe('followEvents', () => {
  it('catches up, then listens, and goes on behind the last event where the server ends', async () => {
    const { log, error } = await follow({
      asks: [batch(3, 1, 3), batch(6)],
      streams: [[batch(3), batch(5, 4, 5), batch(6, 6)], [batch(6)]],
    });
    assert.deepEqual(log, [
      'ask 0 0',
      'before 1 3',
      'up',
      'stream 3',
      'events 4 5',
      'events 6',
      'pause 1000',
      'ask 6 0',
      'up',
      'stream 6',
      'pause 1000',
      'ask 6 0',
    ]);
    assert.equal(error, undefined);
  });

  it('resumes by cursor what was cut off, and says nothing where it is back at once', async () => {
    const cut = Object.assign(new Error('cut'), { code: 'answer_truncated' });
    const { log } = await follow({
      asks: [batch(1), batch(3, 3)],
      streams: [[batch(2, 2), cut], [batch(3)]],
    });
    assert.deepEqual(log.slice(2, 9), [
      'stream 1',
      'events 2',
      'pause 1000',
      'ask 2 0',
      'events 3',
      'up',
      'stream 3',
    ]);
    assert.equal(log.includes('down'), false);
  });

  it('resumes a stream that fell silent', async () => {
    const { log } = await follow({ asks: [batch(1), batch(2)], streams: [[batch(2, 2), SILENCE]] });
    assert.deepEqual(log.slice(2, 6), ['stream 1', 'events 2', 'pause 1000', 'ask 2 0']);
  });

  it('says that nothing comes in, with growing pauses, until it does again', async () => {
    const down = new ClientError('unavailable', 'events');
    const { log } = await follow({ asks: [down, down, batch(1)], streams: [[batch(1)]] });
    assert.deepEqual(log.slice(0, 8), [
      'ask 0 0',
      'down',
      'pause 1000',
      'ask 0 0',
      'down',
      'pause 2000',
      'ask 0 0',
      'up',
    ]);
  });

  const nothing: readonly (readonly [string, readonly Step[]])[] = [
    ['holds streams back', [SILENCE]],
    ['ends them empty', []],
    ['breaks them', [new ClientError('unavailable', 'event stream')]],
    ['refuses them', [new ClientError('throttled', 'event stream')]],
  ];
  for (const [what, steps] of nothing)
    it(`asks instead where something on the way ${what}, and tries again later`, async () => {
      const polls = Array.from({ length: 20 }, (_, i) => batch(2 + i, 2 + i));
      const { log } = await follow({
        asks: [batch(1), batch(1), batch(1), ...polls, batch(21)],
        streams: [steps, steps, [batch(21)]],
      });
      assert.deepEqual(log.filter((line) => !line.startsWith('up')).slice(0, 9), [
        'ask 0 0',
        'stream 1',
        'pause 2000',
        'ask 1 0',
        'stream 1',
        'pause 4000',
        'ask 1 0',
        'ask 1 25',
        'events 2',
      ]);
      assert.equal(log.filter((line) => line.endsWith(' 25')).length, 20);
      assert.equal(log.filter((line) => line === 'stream 21').length, 1);
      assert.equal(log.includes('down'), false);
    });

  it('ends with the session, whichever way it hears of that', async () => {
    const ended = new ClientError('unauthorized', 'events');
    const asked = await follow({ asks: [ended], streams: [] });
    assert.equal(asked.error, ended);
    const streamed = await follow({ asks: [batch(1)], streams: [[batch(1), ended]] });
    assert.equal(streamed.error, ended);
  });
});
