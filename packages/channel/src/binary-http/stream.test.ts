import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  asBytes,
  type Bytes,
  concatBytes,
  decodeHex,
  encodeUtf8,
  MalformedError,
} from '@cloister/bytes';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { paddedLength } from '../padding.ts';
import { decodeMessage } from './decode-message.ts';
import { decodeStream } from './decode-stream.ts';
import { encodeMessage } from './encode-message.ts';
import { encodeStream } from './encode-stream.ts';
import type { BinaryMessage } from './message.ts';

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Bytes> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return concatBytes(...pieces);
}

/** What the streaming decoder makes of bytes in pieces of a size: the message, or the error's code. */
async function streamed(bytes: Uint8Array, size: number): Promise<BinaryMessage | string> {
  try {
    const { start, headers, content } = await decodeStream(inPieces(bytes, size));
    const pieces: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await content.next();
      if (done === true) {
        const { known: _, ...rest } = start;
        return { ...rest, headers, content: concatBytes(...pieces), trailers: value };
      }
      pieces.push(value);
    }
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
    return error.code;
  }
}

function whole(bytes: Uint8Array): BinaryMessage | string {
  try {
    const { message } = decodeMessage([asBytes(bytes)]);
    return { ...message, content: message.content.slice() };
  } catch (error) {
    assert.ok(error instanceof MalformedError);
    return error.code;
  }
}

const message: BinaryMessage = {
  kind: 'request',
  method: 'POST',
  scheme: 'https',
  authority: 'records',
  path: '/a',
  headers: [['content-type', 'a/b']],
  content: encodeUtf8('hello, hello'),
  trailers: [['x-end', 'y']],
};

describe('decodeStream', () => {
  const text = sharedMissing
    ? '{"examples":[],"invalid":[]}'
    : readFileSync(shared('vectors/protocol/bhttp-rfc9292.json'), 'utf8');
  const vectors = JSON.parse(text) as Record<
    'examples' | 'invalid',
    { name: string; hex: string }[]
  >;

  for (const { name, hex } of [...vectors.examples, ...vectors.invalid]) {
    it(`reads as decodeMessage does, in pieces of any size: ${name}`, async () => {
      const bytes = decodeHex(hex);
      for (const size of [1, 2, 3, 7, 1000])
        assert.deepEqual(await streamed(bytes, size), whole(bytes));
    });
  }

  it('reads as decodeMessage does whatever is cut off or changed', async () => {
    const good = encodeMessage(message);
    for (let n = 0; n < good.length; n++)
      assert.deepEqual(await streamed(good.subarray(0, n), 5), whole(good.subarray(0, n)));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length - 1),
        fc.nat(255),
        fc.integer({ min: 1, max: 9 }),
        async (at, byte, size) => {
          const bytes = good.slice();
          bytes[at] = byte;
          assert.deepEqual(await streamed(bytes, size), whole(bytes));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('gives the head before the content is there', async () => {
    const bytes = encodeMessage(message);
    const end = bytes.length - message.content.length - 10;
    async function* source(): AsyncGenerator<Bytes> {
      yield bytes.slice(0, end);
      assert.fail('asked for more');
    }
    const { headers } = await decodeStream(source());
    assert.deepEqual(headers, message.headers);
  });

  it('refuses lengths that no message has, before anything is kept for them', async () => {
    const control = decodeHex('02034745540568747470730161012f');
    for (const [tail, code] of [
      ['bfffffff', 'too_large'],
      ['ffffffffffffffff', 'too_large'],
      ['0161bfffffff', 'too_large'],
      ['0161ffffffffffffffff', 'too_large'],
      ['00ffffffffffffffff', 'too_large'],
      ['00bfffffff', 'truncated'],
    ] as const)
      assert.equal(await streamed(concatBytes(control, decodeHex(tail)), 4), code, tail);
  });

  it('refuses padding that is not zero, however late', async () => {
    const padded = encodeMessage(message, () => 200_000);
    assert.notEqual(typeof (await streamed(padded, 16_384)), 'string');
    padded[199_999] = 1;
    assert.equal(await streamed(padded, 16_384), 'trailing_bytes');
  });
});

describe('encodeStream', () => {
  const { content: _, trailers: __, ...head } = message;

  it('writes what both decoders read, padded as a whole message is', async () => {
    for (const size of [0, 1, 63, 64, 4000, 16_384, 100_000]) {
      const content = new Uint8Array(size).fill(7);
      const bytes = await collect(encodeStream(head, inPieces(content, 5000), paddedLength));
      const expected = { ...head, content, trailers: [] };
      assert.deepEqual(decodeMessage([bytes]).message, expected);
      assert.deepEqual(await streamed(bytes, 999), expected);
      assert.equal(bytes.length, paddedLength(bytes.length), String(size));
    }
  });

  it('writes a response that decodes to itself', async () => {
    const response = {
      kind: 'response',
      informational: [{ status: 103, headers: [['link', '<x>']] }],
      status: 404,
      headers: [['x-empty', '']],
    } as const;
    const bytes = await collect(encodeStream(response, inPieces(encodeUtf8('no'), 1), (n) => n));
    const expected = { ...response, content: encodeUtf8('no'), trailers: [] };
    assert.deepEqual(decodeMessage([bytes]).message, expected);
  });

  it('leaves out empty pieces, which would end the content', async () => {
    const pieces = ['a', '', 'b'].map(encodeUtf8);
    async function* source(): AsyncGenerator<Bytes> {
      yield* pieces;
    }
    const bytes = await collect(encodeStream(head, source(), (n) => n));
    assert.deepEqual(decodeMessage([bytes]).message.content, encodeUtf8('ab'));
  });
});
