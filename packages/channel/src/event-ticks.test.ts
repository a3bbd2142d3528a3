import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import * as fc from 'fast-check';
import { decodeMessage } from './binary-http/decode-message.ts';
import {
  chunkedSetup,
  collect,
  requestOf,
  RESPONSE_START,
  takeApart,
} from './chunked-setup.test.ts';
import { encodeTicks, TICK_MS, TICK_SIZE } from './event-ticks.ts';

const head = {
  kind: 'response',
  informational: [],
  status: 200,
  headers: [['content-type', 'text/event-stream']],
} as const;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function* each(...texts: readonly string[]): AsyncGenerator<Bytes, void, void> {
  for (const one of texts) yield encodeUtf8(one);
}

/** The events of a stream by the rules of HTML section 9.2.6, as far as they matter here. */
function eventsOf(stream: string): string[] {
  const events: string[] = [];
  let data: string[] = [];
  for (const line of stream.split('\n').slice(0, -1)) {
    if (line === '') {
      if (data.length > 0) events.push(data.join('\n'));
      data = [];
    } else if (line.startsWith('data: ')) data.push(line.slice(6));
    else assert.ok(line.startsWith(':'), JSON.stringify(line));
  }
  return events;
}

async function ticksOf(...texts: readonly string[]): Promise<Bytes[]> {
  const chunks: Bytes[] = [];
  for await (const group of encodeTicks(head, each(...texts), undefined))
    chunks.push(concatBytes(...group));
  return chunks;
}

const contentOf = (chunks: readonly Bytes[]) => {
  const { message } = decodeMessage([concatBytes(...chunks)]);
  assert.ok(message.kind === 'response');
  assert.deepEqual(message.headers, head.headers);
  return text(message.content);
};

async function* failing(): AsyncGenerator<Bytes, void, void> {
  yield encodeUtf8('data: a\n\n');
  throw new Error('broken');
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const unset = (): never => assert.fail('not yet');

describe('encodeTicks', () => {
  for (const [what, texts, events] of [
    ['nothing', [], []],
    ['one event', ['data: a\n\n'], ['a']],
    ['two at once', ['data: a\n\ndata: b\n\n'], ['a', 'b']],
    ['an event in pieces', ['da', 'ta: a\nda', 'ta: b\n', '\n'], ['a\nb']],
    ['an event larger than a tick', [`data: ${'x'.repeat(3000)}\n\n`], ['x'.repeat(3000)]],
    ['an event that fills a tick', [`data: ${'x'.repeat(1024 - 8)}\n\n`], ['x'.repeat(1024 - 8)]],
    ['an event one byte short of it', [`data: ${'x'.repeat(1023 - 8)}\n\n`], ['x'.repeat(1015)]],
    ['an event two bytes short of it', [`data: ${'x'.repeat(1022 - 8)}\n\n`], ['x'.repeat(1014)]],
    [
      'a line one byte short, within an event',
      [`data: ${'x'.repeat(1016)}\n`, 'data: b\n\n'],
      [`${'x'.repeat(1016)}\nb`],
    ],
    ['an event that is not finished', ['data: a\n\ndata: b'], ['a']],
  ] as const)
    it(`carries ${what}, in chunks of one size`, async () => {
      const chunks = await ticksOf(...texts);
      assert.deepEqual(eventsOf(contentOf(chunks)), events);
      assert.ok(
        chunks.every(({ length }) => length === TICK_SIZE + 2),
        String(chunks.map((c) => c.length)),
      );
    });

  it('carries any events, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.string({ maxLength: 1200 }), { minLength: 1, maxLength: 3 }), {
          maxLength: 5,
        }),
        fc.integer({ min: 1, max: 1500 }),
        async (lines, size) => {
          const events = lines.map((one) => one.map((line) => line.replaceAll(/[\r\n]/g, '-')));
          const stream = encodeUtf8(
            events.map((one) => `${one.map((line) => `data: ${line}\n`).join('')}\n`).join(''),
          );
          async function* source(): AsyncGenerator<Bytes, void, void> {
            for (let at = 0; at < stream.length; at += size) yield stream.slice(at, at + size);
          }
          const chunks: Bytes[] = [];
          for await (const group of encodeTicks(head, source(), undefined))
            chunks.push(concatBytes(...group));
          assert.deepEqual(
            eventsOf(contentOf(chunks)),
            events.map((one) => one.join('\n')),
          );
          assert.ok(chunks.every(({ length }) => length === TICK_SIZE + 2));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('carries heads of any size', async () => {
    for (let size = 0; size < 3200; size += 37) {
      const large = { ...head, headers: [...head.headers, ['x', 'y'.repeat(size)] as const] };
      const chunks: Bytes[] = [];
      for await (const group of encodeTicks(large, each('data: a\n\n'), undefined))
        chunks.push(concatBytes(...group));
      const { message } = decodeMessage([concatBytes(...chunks)]);
      assert.deepEqual(eventsOf(text(message.content)), ['a']);
      assert.equal((chunks[0]?.length ?? 1) % (TICK_SIZE + 2), 0);
    }
    const huge = {
      ...head,
      headers: Array.from({ length: 10 }, () => ['x', 'y'.repeat(5000)] as const),
    };
    for await (const group of encodeTicks(huge, each(), undefined))
      assert.ok(concatBytes(...group).length <= 16_384);
  });

  it('gives up a line that does not end', async () => {
    const long = 'x'.repeat(600_000);
    await assert.rejects(ticksOf(long, long), { name: 'EventStreamError', code: 'line_too_long' });
  });

  it('passes on that the application failed', async () => {
    for (const wait of [undefined, () => Promise.resolve()])
      await assert.rejects(async () => {
        for await (const _ of encodeTicks(head, failing(), wait));
      }, /broken/);
  });

  it('sends at a constant rate, whether or not something happens', async () => {
    const waits: { ms: number; go: () => void }[] = [];
    const wait = (ms: number) =>
      new Promise<void>((go) => {
        waits.push({ ms, go });
      });
    const sources: ((value: IteratorResult<Bytes, void>) => void)[] = [];
    const source = {
      next: () =>
        new Promise<IteratorResult<Bytes, void>>((resolve) => {
          sources.push(resolve);
        }),
    };
    const ticks = encodeTicks(head, source, wait);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const group of ticks) seen.push(text(concatBytes(...group)));
    })();
    await settle();
    assert.equal(seen.length, 1, 'the head, at once');
    const tick = async () => {
      (waits.shift() ?? assert.fail()).go();
      await settle();
    };
    await tick();
    assert.equal(seen.length, 2);
    assert.match(seen[1] ?? '', /^..:+\n$/);
    const event = (value: string) =>
      (sources.shift() ?? assert.fail())({ done: false, value: encodeUtf8(value) });
    event('data: a\n\n');
    await settle();
    event('data: b\n\n');
    await settle();
    assert.equal(seen.length, 2, 'nothing before the tick');
    await tick();
    assert.equal(seen.length, 3);
    assert.match(seen[2] ?? '', /data: a\n\ndata: b\n\n:+\n$/);
    event(`data: ${'x'.repeat(70_000)}\n\n`);
    await settle();
    assert.equal(sources.length, 0, 'no more is asked for before the tick');
    await tick();
    assert.ok(seen.length > 70);
    (sources.shift() ?? assert.fail())({ done: true, value: undefined });
    await reading;
    assert.ok(waits.every(({ ms }) => ms === TICK_MS));
  });
});

describe('an event stream through the channel', () => {
  const accept = { headers: { accept: 'text/event-stream' } };

  it('comes as it happens, in chunks of one size, and ends when it is told', async () => {
    let push: (line: string | undefined) => void = unset;
    const events = new ReadableStream<Bytes>({
      start: (controller) => {
        push = (line) =>
          line === undefined ? controller.close() : controller.enqueue(encodeUtf8(line));
      },
    });
    const { fetch, received } = await chunkedSetup({
      app: () => new Response(events, { headers: { 'content-type': 'text/event-stream' } }),
      channel: { maxAnswerBytes: 2000 },
    });
    const response = await fetch(requestOf(accept));
    const reader = response.body?.getReader() ?? assert.fail();
    let seen = '';
    const until = async (wanted: string) => {
      while (!eventsOf(seen).includes(wanted)) {
        const { value } = await reader.read();
        seen += text(value ?? assert.fail());
      }
    };
    for (const name of ['one', 'two', 'x'.repeat(5000), 'three']) {
      push(`data: ${name}\n\n`);
      await until(name);
    }
    push(undefined);
    while (!(await reader.read()).done);
    const wire = await collect(
      (async function* () {
        yield* received[0] ?? [];
      })(),
    );
    const { chunks } = takeApart(wire, RESPONSE_START);
    const sizes = new Set(chunks.slice(0, -1).map(({ length }) => length));
    assert.deepEqual([...sizes], [2 + TICK_SIZE + 2 + 16]);
  });

  it('is an error where it is cut off, not an end', async () => {
    const events = new ReadableStream<Bytes>({
      start: (controller) => controller.enqueue(encodeUtf8('data: a\n\n')),
    });
    const { fetch } = await chunkedSetup({
      app: () => new Response(events, { headers: { 'content-type': 'text/event-stream' } }),
      onResponse: async function* (passing) {
        let n = 0;
        for await (const piece of passing) {
          yield piece;
          if (++n === 3) return;
        }
      },
    });
    const response = await fetch(requestOf(accept));
    await assert.rejects(response.text(), { code: 'answer_truncated' });
  });

  it('is given up by the application when the client goes, also while nothing happens', async () => {
    let cancelled = false;
    const events = new ReadableStream<Bytes>({
      start: (controller) => controller.enqueue(encodeUtf8('data: a\n\n')),
      cancel: () => {
        cancelled = true;
      },
    });
    const { fetch } = await chunkedSetup({
      app: () => new Response(events, { headers: { 'content-type': 'text/event-stream' } }),
    });
    const reader = (await fetch(requestOf(accept))).body?.getReader() ?? assert.fail();
    await reader.read();
    await reader.read();
    const waiting = reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    await reader.cancel();
    assert.equal((await waiting).done, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(cancelled);
  });
});
