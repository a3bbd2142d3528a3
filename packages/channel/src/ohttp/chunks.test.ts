import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes, decodeHex, encodeHex, encodeUtf8 } from '@cloister/bytes';
import { sharedMissing } from '../../../../tests/shared.ts';
import { encodeVarint } from '../binary-http/varint.ts';
import { StreamReader } from '../wire/stream-reader.ts';
import { CHUNK_SIZE, type ChunkOpener, groupPieces, openChunks, sealChunks } from './chunks.ts';
import { openChunkedRequest, setupRequest } from './request-encryption.ts';
import { createResponseOpener, createResponseSealer } from './response-encryption.ts';
import { example } from './vector-setup.test.ts';

async function* each<T>(...values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Bytes> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return concatBytes(...pieces);
}

const readerOf = (bytes: Bytes, size = bytes.length) =>
  new StreamReader(
    (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
    })(),
    'test',
  );

describe('chunked OHTTP, example of the draft', { skip: sharedMissing }, () => {
  const { vector, hex, gatewayKeys, recipient } = example('ohttp-chunked-draft');

  it('makes the request, in chunks as in the example', async () => {
    const { start, context } = await setupRequest(await recipient(), 'chunked');
    const message = hex('binaryRequest');
    const groups = each([message.slice(0, 12)], [message.slice(12)]);
    const chunks = await collect(sealChunks(groups, (p, aad) => context.sealPieces(p, aad)));
    assert.equal(encodeHex(concatBytes(start, chunks)), vector['encapsulatedRequest']);
  });

  it('opens the request, and makes and opens the response', async () => {
    for (const size of [1, 5, 1000]) {
      const reader = readerOf(hex('encapsulatedRequest'), size);
      const opened = (await openChunkedRequest(reader, [await gatewayKeys()])) ?? assert.fail();
      const plaintext = openChunks(reader, (sealed, aad) => opened.context.open(sealed, aad));
      assert.equal(encodeHex(await collect(plaintext)), vector['binaryRequest']);

      const nonce = hex('responseNonce');
      const seal = await createResponseSealer(opened, nonce);
      const message = hex('binaryResponse');
      const groups = each([message.slice(0, 1)], [message.slice(1)]);
      const sealed = concatBytes(nonce, await collect(sealChunks(groups, seal)));
      assert.equal(encodeHex(sealed), vector['encapsulatedResponse']);
      const answer = readerOf(sealed, size);
      const open = await createResponseOpener(opened, await answer.bytes(16));
      assert.equal(encodeHex(await collect(openChunks(answer, open))), vector['binaryResponse']);
    }
  });
});

describe('groupPieces', () => {
  it('cuts pieces of any size into full chunks, and copies nothing', async () => {
    for (const sizes of [[], [0], [1], [CHUNK_SIZE], [40_000], [16_000, 1000, 50_000, 0, 3]]) {
      const pieces = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
      const groups: (readonly Bytes[])[] = [];
      for await (const group of groupPieces(each(...pieces))) groups.push(group);
      const lengths = groups.map((group) => concatBytes(...group).length);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      assert.deepEqual(
        lengths,
        Array.from({ length: Math.ceil(total / CHUNK_SIZE) }, (_, i) =>
          Math.min(CHUNK_SIZE, total - i * CHUNK_SIZE),
        ),
      );
      assert.deepEqual(concatBytes(...groups.flat()), concatBytes(...pieces));
      for (const piece of groups.flat()) assert.ok(pieces.some((p) => p.buffer === piece.buffer));
    }
  });
});

describe('sealChunks', () => {
  it('gives back the memory of what was sealed, and of nothing that shares memory', async () => {
    const shared = new Uint8Array(40).fill(7);
    const made: Bytes[] = [];
    const groups = each([new Uint8Array(3)], [new Uint8Array(3)]);
    const chunks = await collect(
      sealChunks(groups, async () => {
        const own = new Uint8Array(20).fill(9);
        made.push(own);
        return [own, shared.subarray(0, 30)];
      }),
    );
    assert.ok(made.every(({ byteLength }) => byteLength === 0));
    assert.equal(shared[39], 7);
    const one = concatBytes(new Uint8Array(20).fill(9), new Uint8Array(30).fill(7));
    const length = encodeVarint(50);
    assert.deepEqual(chunks, concatBytes(length, one, length, one, encodeVarint(0), one));
  });
});

/** Nothing is sealed: what is under test here are the lengths. */
const open: ChunkOpener = (sealed, aad) => Promise.resolve(concatBytes(sealed.subarray(16), aad));
const chunk = (length: number, prefix = encodeVarint(length)) =>
  concatBytes(prefix, new Uint8Array(length).fill(1));

const run = (...parts: readonly Bytes[]) =>
  collect(openChunks(readerOf(concatBytes(...parts)), open));

describe('openChunks', () => {
  it('takes chunks of the size that everybody must take, and lengths in any form', async () => {
    const sizes = [17, 1000, CHUNK_SIZE + 16];
    const plain = await run(...sizes.map((n) => chunk(n)), chunk(16, encodeVarint(0)));
    assert.equal(plain.length, 1 + 984 + CHUNK_SIZE + 'final'.length);
    for (const form of ['11', '4011', '80000011', 'c000000000000011'])
      assert.equal((await run(chunk(17, decodeHex(form)), chunk(16, encodeVarint(0)))).length, 6);
    for (const zero of ['00', '4000', '80000000', 'c000000000000000'])
      assert.deepEqual(await run(chunk(16, decodeHex(zero))), encodeUtf8('final'));
  });

  it('refuses chunks that are larger, by their length alone', async () => {
    for (const [length, code] of [
      [encodeVarint(CHUNK_SIZE + 17), 'too_large'],
      [encodeVarint(2 ** 30), 'too_large'],
      [decodeHex('ffffffffffffffff'), 'too_large'],
    ] as const)
      await assert.rejects(run(length), { name: 'MalformedError', code });
    await assert.rejects(run(chunk(CHUNK_SIZE + 17, encodeVarint(0))), { code: 'too_large' });
  });

  it('refuses a chunk without content, unless it is the last', async () => {
    for (const length of [1, 15, 16])
      await assert.rejects(run(chunk(length)), { code: 'bad_value' });
  });

  it('refuses a stream that ends before its final chunk, wherever', async () => {
    const good = concatBytes(chunk(40), chunk(100), encodeVarint(0));
    for (let n = 0; n < good.length; n++)
      await assert.rejects(run(good.slice(0, n)), { code: 'truncated' }, String(n));
  });

  it('refuses more short chunks than there is a reason for', async () => {
    const short = chunk(20);
    const many = Array.from({ length: 4096 }, () => short);
    await run(...many, chunk(16, encodeVarint(0)));
    await assert.rejects(run(...many, short), { code: 'too_large' });
  });
});
