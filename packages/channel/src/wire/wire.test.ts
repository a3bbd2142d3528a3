import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import { follow, piecesOf, readAhead, readPieces, streamFrom } from './byte-stream.ts';
import { HeldRequest, HeldResponse } from './held-message.ts';
import { lendBody, wireBodyOf } from './lent-body.ts';
import { Scratch } from './scratch.ts';
import { StreamReader } from './stream-reader.ts';
import { StreamedResponse } from './streamed-response.ts';
import { exchangeOver } from './wire-transport.ts';

async function* each(...texts: readonly string[]): AsyncGenerator<Bytes, void, void> {
  for (const text of texts) yield encodeUtf8(text);
}
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const textOf = async (source: AsyncIterable<Uint8Array>) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return text(concatBytes(...pieces));
};

describe('StreamReader', () => {
  it('gives exactly what it is asked for, across pieces', async () => {
    const reader = new StreamReader(each('ab', '', 'cdef', 'g'), 'test');
    assert.equal(text(await reader.bytes(1)), 'a');
    assert.equal(text(await reader.bytes(3)), 'bcd');
    assert.equal(text(await reader.bytes(0)), '');
    assert.equal(text(await reader.some(1)), 'e');
    assert.equal(text(await reader.some(9)), 'f');
    assert.equal(await reader.isEnd(), false);
    assert.equal(text(await reader.rest(1)), 'g');
    assert.equal(await reader.isEnd(), true);
    assert.equal((await reader.some(9)).length, 0);
    assert.equal((await reader.rest(0)).length, 0);
  });

  it('gives owned pieces back when it is asked for more, and no others', async () => {
    for (const owned of [true, false]) {
      const shared = encodeUtf8('-gh-').subarray(1, 3);
      const pieces = [encodeUtf8('abc'), encodeUtf8('def'), shared];
      const source = (async function* () {
        yield* pieces;
      })();
      const reader = new StreamReader(source, 'test', { owned });
      const lengths = () => pieces.map(({ buffer }) => buffer.byteLength);
      assert.equal(text(await reader.bytes(2)), 'ab');
      assert.equal(text(await reader.bytes(1)), 'c');
      assert.deepEqual(lengths(), [3, 3, 4]);
      assert.equal(text(await reader.bytes(3)), 'def');
      assert.deepEqual(lengths(), owned ? [0, 3, 4] : [3, 3, 4]);
      assert.equal(text(await reader.bytes(2)), 'gh');
      assert.equal(await reader.isEnd(), true);
      assert.equal((await reader.rest(0)).length, 0);
      assert.deepEqual(lengths(), owned ? [0, 0, 4] : [3, 3, 4]);
    }
  });

  it('gives bytes that can be copied by `slice`, of Buffers too', async () => {
    const source = (async function* () {
      yield Buffer.from(encodeUtf8('abc').buffer);
      yield Buffer.from(encodeUtf8('de').buffer);
    })();
    const reader = new StreamReader(source, 'test', { owned: true });
    const copy = (await reader.bytes(3)).slice();
    assert.equal(text(await reader.bytes(2)), 'de');
    assert.equal(text(copy), 'abc');
  });

  it('says by name what ended too early or was too long', async () => {
    const early = new StreamReader(each('ab'), 'thing').bytes(3);
    await assert.rejects(early, { code: 'truncated', message: /thing/ });
    await assert.rejects(new StreamReader(each('ab', 'c'), 'x').rest(2), { code: 'too_large' });
  });
});

describe('held messages', () => {
  const content = encodeUtf8('\u{feff}{"a":1}');
  const made = {
    request: () => new HeldRequest('https://x/', { method: 'POST' }, content),
    response: () => new HeldResponse([content.slice(0, 4), content.slice(4)], { status: 201 }),
  };
  for (const [name, make] of Object.entries(made)) {
    it(`a ${name} reads like one that fetch made, by every method`, async () => {
      assert.deepEqual(await make().bytes(), content);
      assert.deepEqual(new Uint8Array(await make().arrayBuffer()), content);
      assert.equal(await make().text(), '{"a":1}');
      assert.deepEqual(await make().json(), { a: 1 });
      assert.equal((await make().blob()).size, content.length);
      assert.equal(await textOf(piecesOf(make().body)), '{"a":1}');
    });

    it(`a ${name} is read once, and its clone once more`, async () => {
      const one = make();
      const clone = one.clone();
      assert.equal(one.bodyUsed, false);
      await one.bytes();
      assert.equal(one.bodyUsed, true);
      await assert.rejects(one.bytes(), TypeError);
      await assert.rejects(one.text(), TypeError);
      assert.throws(() => one.clone(), TypeError);
      assert.deepEqual(await clone.bytes(), content);
      const locked = make();
      locked.body?.getReader();
      await assert.rejects(locked.bytes(), TypeError);
    });
  }

  it('are told by their pieces, as fetch responses are, once', async () => {
    const bodies: readonly (() => Response)[] = [
      () => made.response(),
      () => new Response(content),
      () => new Response(streamFrom(each('\u{feff}{"a"', ':1}'))),
    ];
    for (const body of bodies) {
      const response = body();
      assert.deepEqual(concatBytes(...(await HeldResponse.piecesOf(response))), content);
      await assert.rejects(HeldResponse.piecesOf(response), TypeError);
      const locked = body();
      locked.body?.getReader();
      await assert.rejects(HeldResponse.piecesOf(locked), TypeError);
    }
    assert.deepEqual(await HeldResponse.piecesOf(new Response(null)), []);
  });

  it('keep what fetch knows of them', async () => {
    const request = made.request().clone();
    assert.ok(request instanceof Request);
    assert.equal(`${request.method} ${request.url}`, 'POST https://x/');
    assert.equal(await new Request(made.request()).text(), '{"a":1}');
    const response = made.response().clone();
    assert.ok(response instanceof Response);
    assert.equal(response.status, 201);
  });
});

const make = () => new StreamedResponse(streamFrom(each('{"a"', ':1}')), { status: 202 });
async function* failing(): AsyncGenerator<Bytes, void, void> {
  yield encodeUtf8('a');
  throw new RangeError('this one');
}

describe('a streamed response', () => {
  it('reads like one that fetch made', async () => {
    assert.equal(make().status, 202);
    assert.deepEqual(new Uint8Array(await make().arrayBuffer()), encodeUtf8('{"a":1}'));
    assert.deepEqual(await make().bytes(), encodeUtf8('{"a":1}'));
    assert.equal(await make().text(), '{"a":1}');
    assert.deepEqual(await make().json(), { a: 1 });
    assert.equal((await make().blob()).size, 7);
    assert.equal(await make().clone().text(), '{"a":1}');
  });

  it('is read once, and fails with the error of its stream', async () => {
    const one = make();
    await one.text();
    await assert.rejects(one.text(), TypeError);
    const response = new StreamedResponse(streamFrom(failing()), {});
    await assert.rejects(response.arrayBuffer(), { name: 'RangeError', message: 'this one' });
  });
});

/** More pieces than are left as they are. */
const many = (): Bytes[] => Array.from('abcdefghij', (letter) => encodeUtf8(letter));
const lengths = (pieces: readonly Bytes[]): number[] => pieces.map(({ length }) => length);

describe('Scratch', () => {
  it('puts many pieces together, one after the other and at the same time', async () => {
    const scratch = new Scratch();
    const seen: Bytes[] = [];
    const hold = () =>
      scratch.with({ pieces: many(), owned: false }, async ([whole = assert.fail(), ...others]) => {
        seen.push(whole);
        await Promise.resolve();
        assert.equal(text(whole), 'abcdefghij');
        assert.equal(others.length, 0);
      });
    await Promise.all([hold(), hold()]);
    assert.notEqual(seen[0]?.buffer, seen[1]?.buffer);
    await hold();
    assert.ok(seen.slice(0, 2).some(({ buffer }) => buffer === seen[2]?.buffer));
    await assert.rejects(
      scratch.with({ pieces: many(), owned: false }, () => Promise.reject(new Error('x'))),
      /x/,
    );
    await hold();
  });

  it('leaves a few as they are', async () => {
    const pieces = [encodeUtf8('ab'), encodeUtf8('cd')];
    await new Scratch().with({ pieces, owned: false }, (few) => {
      assert.equal(few, pieces);
      return Promise.resolve();
    });
  });

  it('gives owned pieces back as soon as they are not needed, and no others', async () => {
    for (const owned of [true, false]) {
      const shared = encodeUtf8('-cd-').subarray(1, 3);
      const few = [encodeUtf8('ab'), shared];
      await new Scratch().with({ pieces: few, owned }, () => {
        assert.deepEqual(lengths(few), [2, 2], 'not while they are read');
        return Promise.resolve();
      });
      assert.deepEqual(lengths(few), [owned ? 0 : 2, 2]);
      const pieces = [...many(), shared];
      await new Scratch().with({ pieces, owned }, ([whole = assert.fail()]) => {
        assert.equal(text(whole), 'abcdefghijcd');
        assert.deepEqual(lengths(pieces), [...many().map(() => (owned ? 0 : 1)), 2]);
        return Promise.resolve();
      });
    }
  });

  it('keeps no memory of what is very long', async () => {
    const scratch = new Scratch();
    const long = [new Uint8Array(8 * 1024 * 1024), ...many()];
    let seen: Bytes | undefined;
    const hold = (pieces: readonly Bytes[]) =>
      scratch.with({ pieces, owned: false }, ([whole]) => {
        seen = whole;
        return Promise.resolve(whole?.at(-1));
      });
    assert.equal(await hold(long), 'j'.charCodeAt(0));
    const { buffer } = seen ?? assert.fail();
    await hold(many());
    assert.notEqual(seen?.buffer, buffer);
  });
});

describe('streams', () => {
  it('stop as soon as there is more than the limit', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<Bytes> {
      try {
        for (;;) yield new Uint8Array(10);
      } finally {
        ended = true;
      }
    }
    assert.equal(await readPieces(endless(), 95), undefined);
    assert.ok(ended);
    assert.equal((await readPieces(each('ab', 'c'), 3))?.length, 2);
  });

  it('read ahead only as far as they are told', async () => {
    const source = each('ab', 'cd', 'ef');
    const { pieces, ended } = await readAhead(source, 2);
    assert.equal(ended, false);
    assert.equal(await textOf(follow(pieces, source)), 'abcdef');
    assert.equal((await readAhead(each('ab'), 2)).ended, true);
  });

  it('refuse pieces that are no bytes', async () => {
    const texts = new ReadableStream({
      start: (controller) => {
        controller.enqueue('text');
        controller.close();
      },
    });
    await assert.rejects(HeldResponse.piecesOf(new Response(texts)), TypeError);
  });

  it('cancel what they are made of', async () => {
    let cancelled = 0;
    const endless = () =>
      new ReadableStream<Bytes>({
        pull: (controller) => controller.enqueue(new Uint8Array(1)),
        cancel: () => void cancelled++,
      });
    for await (const _ of piecesOf(endless())) break;
    assert.equal(cancelled, 1);
    const stream = streamFrom(piecesOf(endless()), () => void cancelled++);
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(cancelled, 3);
  });

  it('ask for nothing before somebody reads', async () => {
    let asked = 0;
    async function* counting(): AsyncGenerator<Bytes, void, void> {
      for (;;) {
        asked++;
        yield new Uint8Array(1);
      }
    }
    const reader = streamFrom(counting()).getReader();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(asked, 0);
    await reader.read();
    assert.equal(asked, 1);
  });
});

describe('transports', () => {
  const call = {
    url: 'https://x/',
    headers: { 'content-type': 'a/b' },
    signal: new AbortController().signal,
  };

  it('by fetch send pieces and streams as one body, and never follow redirects', async () => {
    const seen: Request[] = [];
    const exchange = exchangeOver((request) => {
      seen.push(request);
      return Promise.resolve(new Response('answer', { status: 203 }));
    });
    for (const body of [[encodeUtf8('ab'), encodeUtf8('c')], each('ab', 'c')]) {
      const answer = await exchange({ ...call, body });
      assert.equal(answer.status, 203);
      assert.equal(await textOf(answer.body), 'answer');
      const request = seen.pop() ?? assert.fail();
      assert.equal(await request.text(), 'abc');
      assert.equal(request.redirect, 'error');
      assert.equal(request.headers.get('content-type'), 'a/b');
    }
  });

  it('of their own get bytes as they are', async () => {
    const bodies: unknown[] = [];
    const own = Object.assign(() => Promise.resolve(new Response()), {
      exchange: ({ body }: { body: unknown }) => {
        bodies.push(body);
        return Promise.resolve({
          status: 200,
          headers: new Headers(),
          body: each(),
          cancel: () => undefined,
        });
      },
    });
    const body = [encodeUtf8('ab')];
    await exchangeOver(own)({ ...call, body });
    assert.equal(bodies[0], body);
  });

  it('of servers lend the body of a request', async () => {
    const request = new Request('https://x/', { method: 'POST', body: 'own' });
    assert.equal(await textOf(wireBodyOf(request.clone())), 'own');
    lendBody(request, each('le', 'nt'));
    assert.equal(await textOf(wireBodyOf(request)), 'lent');
    assert.equal(await request.text(), 'own');
  });
});
