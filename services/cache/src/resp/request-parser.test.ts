import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import * as fc from 'fast-check';
import { RequestParser, type RequestLimits } from './request-parser.ts';

const LIMITS: RequestLimits = { args: 100, bulk: 1000, request: 2000 };

function encode(args: readonly Buffer[]): Buffer {
  const parts = args.map((arg) => [Buffer.from(`$${arg.length}\r\n`), arg, Buffer.from('\r\n')]);
  return Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...parts.flat()]);
}

const request = (...args: string[]): Buffer =>
  encode(args.map((arg) => Buffer.from(arg, 'latin1')));

/** All requests that come out when these pieces go in, each with its own bytes. */
function parse(pieces: readonly Buffer[], parser = new RequestParser(LIMITS)): string[][] {
  const found: string[][] = [];
  for (const piece of pieces) {
    parser.push(Buffer.from(piece));
    while (parser.next()) {
      const args = Array.from({ length: parser.argc }, (_, i) => parser.text(i));
      assert.deepEqual(parser.bytes.subarray(parser.start, parser.end), request(...args));
      found.push(args);
    }
  }
  return found;
}

const TWO = Buffer.concat([request('SET', 'k\r\n', ''), request('get', 'ÿ')]);
const EXPECTED = [
  ['SET', 'k\r\n', ''],
  ['get', 'ÿ'],
];

describe('RequestParser', () => {
  it('reads requests that come in one piece', () => {
    assert.deepEqual(parse([TWO]), EXPECTED);
  });

  it('reads requests that are split at every byte', () => {
    for (let at = 0; at <= TWO.length; at++)
      assert.deepEqual(parse([TWO.subarray(0, at), TWO.subarray(at)]), EXPECTED);
  });

  it('reads requests that come byte by byte', () => {
    assert.deepEqual(parse(Array.from(TWO, (byte) => Buffer.of(byte))), EXPECTED);
  });

  it('reads any requests in any pieces', () => {
    const requests = fc.array(
      fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 5 }),
    );
    fc.assert(
      fc.property(requests, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (given, sizes) => {
        const buffers = given.map((args) => args.map((arg) => Buffer.from(arg)));
        const bytes = Buffer.concat(buffers.map(encode));
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        const expected = buffers.map((args) => args.map((arg) => arg.toString('latin1')));
        assert.deepEqual(parse(pieces), expected);
      }),
    );
  });

  it('never writes to bytes that it has given out', () => {
    const parser = new RequestParser(LIMITS);
    const given: [Buffer, string][] = [];
    const bytes = Buffer.concat(Array.from({ length: 50 }, (_, i) => request('GET', `key${i}`)));
    for (let at = 0; at < bytes.length; at += 7) {
      parser.push(Buffer.from(bytes.subarray(at, at + 7)));
      while (parser.next()) {
        const part = parser.bytes.subarray(parser.start, parser.end);
        given.push([part, part.toString('latin1')]);
      }
    }
    assert.equal(given.length, 50);
    for (const [part, then] of given) assert.equal(part.toString('latin1'), then);
  });

  it('takes time in proportion to a request in tiny pieces', () => {
    const parser = new RequestParser({ args: 10, bulk: 1 << 21, request: 1 << 21 });
    const bytes = request('SET', 'k', 'v'.repeat(1 << 20));
    const started = performance.now();
    let count = 0;
    for (let at = 0; at < bytes.length; at += 4) {
      parser.push(bytes.subarray(at, at + 4));
      while (parser.next()) count += 1;
    }
    assert.equal(count, 1);
    assert.ok(performance.now() - started < 5000);
  });

  it('counts what is not yet whole', () => {
    const parser = new RequestParser(LIMITS);
    parser.push(TWO.subarray(0, TWO.length - 1));
    assert.ok(parser.next());
    assert.ok(!parser.next());
    assert.equal(parser.unparsed, request('get', 'ÿ').length - 1);
  });

  const refused: Readonly<Record<string, string>> = {
    'an inline command': 'GET k\r\n',
    'an empty line': '\r\n',
    'a null array': '*-1\r\n',
    'an empty array': '*0\r\n',
    'an array of arrays': '*1\r\n*1\r\n$1\r\na\r\n',
    'an array of numbers': '*1\r\n:1\r\n',
    'a null bulk': '*1\r\n$-1\r\n',
    'a number with a sign': '*+1\r\n$1\r\na\r\n',
    'a number with a leading zero': '*01\r\n$1\r\na\r\n',
    'a number with a space': '* 1\r\n$1\r\na\r\n',
    'no number': '*\r\n',
    'LF without CR': '*1\n$1\na\n',
    'CR without LF': '*1\r$1\ra\r',
    'a bulk that is longer than it says': '*1\r\n$1\r\nab\r\n',
    'a bulk that is shorter than it says': '*2\r\n$3\r\nab\r\n$1\r\na\r\n',
  };
  for (const [what, text] of Object.entries(refused))
    it(`refuses ${what}`, () => {
      assert.throws(() => parse([Buffer.from(text)]), { code: 'bad_value' });
    });

  it('refuses by the header alone: a bulk of 64 MiB, a million arguments, endless digits', () => {
    for (const text of ['*2\r\n$3\r\nSET\r\n$67108864\r\n', '*1000000\r\n', `*${'1'.repeat(40)}`])
      assert.throws(() => parse([Buffer.from(text)]), { code: 'too_large' });
  });

  it('refuses a request that is too large as a whole', () => {
    assert.throws(
      () => parse([request('MGET', 'a'.repeat(900), 'b'.repeat(900), 'c'.repeat(900))]),
      {
        code: 'too_large',
      },
    );
  });

  it('refuses more arguments than the named command takes', () => {
    const parser = new RequestParser(LIMITS, (bytes, start, end) =>
      bytes.toString('latin1', start, end) === 'DEL' ? Infinity : 2,
    );
    assert.deepEqual(parse([request('DEL', 'a', 'b', 'c')], parser).length, 1);
    assert.throws(() => parse([request('GET', 'a', 'b')], parser), { code: 'too_large' });
  });

  it('never throws anything but MalformedError', () => {
    const near = fc.string({ unit: fc.constantFrom('*', '$', '1', '2', '\r', '\n', '\r\n', 'a') });
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        try {
          parse([Buffer.from(text, 'latin1')]);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
    );
  });
});
