import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import * as fc from 'fast-check';
import { RespError, RespReader, type RespReply } from './resp-reply.ts';

function read(pieces: readonly Buffer[]): RespReply[] {
  const reader = new RespReader();
  const found: RespReply[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next())
      found.push(frame.reply);
  }
  return found;
}

const CASES: readonly (readonly [string, RespReply])[] = [
  ['+OK\r\n', 'OK'],
  ['-NOPERM no\r\n', new RespError('NOPERM no')],
  [':-12\r\n', -12],
  ['$3\r\n\r\nx\r\n', Buffer.from('\r\nx')],
  ['$-1\r\n', null],
  ['*-1\r\n', null],
  ['_\r\n', null],
  ['#t\r\n', true],
  [',1.5\r\n', '1.5'],
  ['=5\r\ntxt:a\r\n', Buffer.from('a')],
  ['!5\r\nERR x\r\n', new RespError('ERR x')],
  ['*2\r\n:1\r\n*1\r\n$1\r\na\r\n', [1, [Buffer.from('a')]]],
  ['%1\r\n+a\r\n:1\r\n', ['a', 1]],
  ['~1\r\n:1\r\n', [1]],
];

describe('RespReader', () => {
  it('reads replies wherever they are split', () => {
    const all = Buffer.from(CASES.map(([text]) => text).join(''), 'latin1');
    const expected = CASES.map(([, reply]) => reply);
    for (let at = 0; at <= all.length; at++)
      assert.deepEqual(read([all.subarray(0, at), all.subarray(at)]), expected);
    assert.deepEqual(read(Array.from(all, (byte) => Buffer.of(byte))), expected);
  });

  it('tells pushes from replies', () => {
    const reader = new RespReader();
    reader.push(Buffer.from('>1\r\n+a\r\n*1\r\n+a\r\n'));
    assert.deepEqual(reader.next(), { reply: ['a'], isPush: true });
    assert.deepEqual(reader.next(), { reply: ['a'], isPush: false });
  });

  it('refuses what is no reply, too large or too deep', () => {
    const bad: readonly (readonly [string, string])[] = [
      ['GET\r\n', 'bad_value'],
      ['\n', 'bad_value'],
      [':1a\r\n', 'bad_value'],
      ['$1\r\nabc', 'bad_value'],
      ['$999999999\r\n', 'too_large'],
      ['*99999999\r\n', 'too_large'],
      [`+${'x'.repeat(70_000)}`, 'too_large'],
      ['*1\r\n'.repeat(20), 'too_deep'],
    ];
    for (const [text, code] of bad) assert.throws(() => read([Buffer.from(text)]), { code });
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          read([Buffer.from(bytes)]);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
    );
  });
});
