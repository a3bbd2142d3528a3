import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import * as fc from 'fast-check';
import { ReplyScanner } from './reply-scanner.ts';

/** Replies of every type of RESP2 and RESP3. */
const REPLIES = [
  '+OK\r\n',
  '-ERR no\r\n',
  ':-12\r\n',
  '$5\r\na\r\nbc\r\n',
  '$0\r\n\r\n',
  '$-1\r\n',
  '*-1\r\n',
  '*0\r\n',
  '*2\r\n$1\r\na\r\n:1\r\n',
  '*2\r\n*1\r\n*0\r\n*2\r\n+a\r\n$-1\r\n',
  '_\r\n',
  '#t\r\n',
  ',1.5e3\r\n',
  '(123456789012345678901234567890\r\n',
  '=7\r\ntxt:abc\r\n',
  '!5\r\nERR x\r\n',
  '%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n',
  '~2\r\n:1\r\n:2\r\n',
  '|1\r\n+ttl\r\n:9\r\n$1\r\na\r\n',
  '>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n',
];

/** The ends of all replies, when the bytes come in these pieces. */
function ends(pieces: readonly Buffer[]): number[] {
  const scanner = new ReplyScanner();
  const found: number[] = [];
  let before = 0;
  for (const piece of pieces) {
    let at = 0;
    for (let end = scanner.next(piece, 0); end >= 0; end = scanner.next(piece, at)) {
      at = end;
      found.push(before + end);
      assert.ok(scanner.isBetween);
    }
    before += piece.length;
  }
  return found;
}

const ALL = Buffer.from(REPLIES.join(''), 'latin1');
const EXPECTED = REPLIES.map((_, i) => REPLIES.slice(0, i + 1).join('').length);

describe('ReplyScanner', () => {
  it('finds the end of each reply', () => {
    assert.deepEqual(ends([ALL]), EXPECTED);
  });

  it('finds it wherever the bytes are split', () => {
    for (let at = 0; at <= ALL.length; at++)
      assert.deepEqual(ends([ALL.subarray(0, at), ALL.subarray(at)]), EXPECTED);
    assert.deepEqual(ends(Array.from(ALL, (byte) => Buffer.of(byte))), EXPECTED);
  });

  it('tells the type, and the kind of a message, wherever it is split', () => {
    for (const [text, kind] of [
      ['>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n', 'message'],
      ['*3\r\n$12\r\npunsubscribe\r\n$1\r\nc\r\n:0\r\n', 'punsubscribe'],
      ['*1\r\n$40\r\nmessagemessagemessagemessagemessagemessa\r\n', ''],
      ['*2\r\n:1\r\n$7\r\nmessage\r\n', ''],
      ['$7\r\nmessage\r\n', ''],
    ] as const) {
      const bytes = Buffer.from(text);
      for (let at = 1; at < bytes.length; at++) {
        const scanner = new ReplyScanner();
        assert.equal(scanner.next(bytes.subarray(0, at), 0), -1);
        assert.ok(!scanner.isBetween);
        assert.equal(scanner.next(bytes.subarray(at), 0), bytes.length - at);
        assert.equal(scanner.kind, kind);
        assert.equal(scanner.type, bytes[0]);
      }
    }
  });

  it('refuses what is no reply, and throws nothing but MalformedError', () => {
    for (const text of ['GET k\r\n', '*x\r\n', '$1a\r\n', `*${'1'.repeat(30)}\r\n`])
      assert.throws(() => ends([Buffer.from(text)]), MalformedError);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          ends([Buffer.from(bytes)]);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
    );
  });
});
