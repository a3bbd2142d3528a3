import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../gate/limits.ts';
import { RequestParser, type RequestLimits } from './request-parser.ts';

const LARGE = 64 << 20;

/** Whether a request is refused by what has come of it, and how much memory it was given. */
function refusal(limits: RequestLimits, ...pieces: readonly string[]): string | undefined {
  const parser = new RequestParser(limits);
  try {
    for (const piece of pieces) {
      parser.push(Buffer.from(piece, 'latin1'));
      while (parser.next()) continue;
    }
    return undefined;
  } catch (error) {
    return (error as { where?: string }).where;
  }
}

describe('a bulk header of 64 MiB', () => {
  it('is refused before any of its bytes have come, logged in or not', () => {
    for (const limits of [LIMITS.before, LIMITS.after])
      assert.equal(
        refusal(limits, '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n', `$${LARGE}\r\n`),
        'request: bulk string',
      );
  });

  it('is refused by the limit of one bulk alone, however large a request may be', () => {
    const limits = { args: 8, bulk: 1000, request: 2 * LARGE };
    assert.equal(refusal(limits, '*1\r\n$1001\r\n'), 'request: bulk string');
    assert.equal(refusal(limits, `*1\r\n$1000\r\n${'a'.repeat(1000)}\r\n`), undefined);
  });

  it('is refused by the limit of the whole request alone, however large a bulk may be', () => {
    const limits = { args: 8, bulk: 2 * LARGE, request: 1000 };
    assert.equal(refusal(limits, '*1\r\n$1001\r\n'), 'request: whole');
  });
});
