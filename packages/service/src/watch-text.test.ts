import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { watchText } from './watch-text.ts';

/** Watches what these reads give, one after the other, until all were read. */
async function watched(
  reads: readonly (string | Error)[],
  onText: (text: string) => Promise<void> = () => Promise.resolve(),
): Promise<{ texts: string[]; failures: string[] }> {
  const texts: string[] = [];
  const failures: string[] = [];
  let at = 0;
  await new Promise<void>((resolve) => {
    const stop = watchText({
      read: () => {
        if (at === reads.length) {
          stop();
          resolve();
        }
        const next = reads[Math.min(at++, reads.length - 1)] ?? '';
        return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
      },
      onText: async (text) => {
        texts.push(text);
        await onText(text);
      },
      onFailure: (error) => failures.push(String(error)),
      everyMs: 1,
    });
    // The timers of a watch keep no process alive.
    const alive = setInterval(() => undefined, 5);
    setTimeout(() => clearInterval(alive), 2000).unref();
  });
  return { texts, failures };
}

describe('watchText', () => {
  it('tells of each text that differs from the one before', async () => {
    const { texts, failures } = await watched(['a', 'a', 'b', 'a', 'a']);
    assert.deepEqual(texts, ['a', 'b', 'a']);
    assert.deepEqual(failures, []);
  });

  it('tells once of a file that is away, and of the next time that it is', async () => {
    const away = new Error('away');
    const { texts, failures } = await watched(['a', away, away, 'a', 'b', away, 'b']);
    assert.deepEqual(texts, ['a', 'b']);
    assert.equal(failures.length, 2);
  });

  it('goes on where who was told has failed', async () => {
    const { texts, failures } = await watched(['a', 'b'], (text) =>
      text === 'a' ? Promise.reject(new Error('a')) : Promise.resolve(),
    );
    assert.deepEqual(texts, ['a', 'b']);
    assert.deepEqual(failures, ['Error: a']);
  });
});
