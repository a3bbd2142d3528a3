import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8 } from '@cloister/bytes';
import { ChannelError } from '@cloister/channel';
import { chunkedSetup } from '../../channel/src/chunked-setup.test.ts';
import { createRecordsClient } from './records-client.ts';
import { EventReader, type EventBatch, type RecordsEvent } from './records-events.ts';

const EVENT_STREAM = { 'content-type': 'text/event-stream; charset=utf-8' };
const event = (id: number, more = '"k":"ready-for-review"'): string =>
  `id: ${id}\nevent: resource\ndata: {"t":"Task/名",${more}}\n\n`;
const TEXT = `retry: 2000\n\n::::\n${event(41)}${event(43).replaceAll('\n', '\r\n')}: x\n`;

/** The events of a text that comes in these pieces. */
function readAll(pieces: readonly Uint8Array[], cursor = 0): RecordsEvent[] {
  const reader = new EventReader(cursor);
  return pieces.flatMap((piece) => reader.add(piece));
}

describe('EventReader', () => {
  it('reads the same wherever the pieces end, inside of letters too', () => {
    const bytes = encodeUtf8(TEXT);
    const whole = readAll([bytes]);
    assert.deepEqual(
      whole.map(({ id, target }) => [id, target]),
      [
        [41, 'Task/名'],
        [43, 'Task/名'],
      ],
    );
    for (let at = 0; at <= bytes.length; at++)
      assert.deepEqual(readAll([bytes.subarray(0, at), bytes.subarray(at)]), whole);
    assert.deepEqual(readAll([...bytes].map((byte) => Uint8Array.of(byte))), whole);
  });

  it('does not count an event that was not finished', () => {
    const bytes = encodeUtf8(event(41));
    for (let at = 0; at < bytes.length; at++)
      assert.deepEqual(readAll([bytes.subarray(0, at)]), [], String(at));
  });

  it('takes no event twice, and goes back at a resync only', () => {
    const reader = new EventReader(41);
    assert.throws(() => reader.add(encodeUtf8(event(41))), { code: 'bad_value' });
    const again = new EventReader(41);
    assert.equal(again.add(encodeUtf8(event(7, '"k":"resync"')))[0]?.kind, 'resync');
    assert.equal(again.cursor, 7);
    assert.equal(again.add(encodeUtf8(event(8))).length, 1);
  });

  it('holds no line and no event of any length', () => {
    const long = encodeUtf8('x'.repeat(600_000));
    assert.throws(() => readAll([long, long]), { code: 'too_large' });
    const lines = encodeUtf8(`data: ${'x'.repeat(600_000)}\n`);
    assert.throws(() => readAll([lines, lines]), { code: 'too_large' });
  });

  it('refuses what is not UTF-8', () => {
    assert.throws(() => readAll([Uint8Array.of(0x64, 0xff, 0x0a)]), { name: 'MalformedError' });
  });
});

/** A client whose answers are streams of these pieces; the last may be an error. */
function listen(...pieces: readonly (string | Error)[]) {
  const requests: Request[] = [];
  let cancelled = false;
  const client = createRecordsClient(async (request) => {
    requests.push(request);
    const left = [...pieces];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = left.shift();
        if (next === undefined) controller.close();
        else if (typeof next === 'string') controller.enqueue(encodeUtf8(next));
        else controller.error(next);
      },
      cancel: () => void (cancelled = true),
    });
    return new Response(body, { headers: EVENT_STREAM });
  });
  const stop = new AbortController();
  const stream = client.eventStream(40, stop.signal);
  return { stream, requests, stop, wasCancelled: () => cancelled };
}
async function collect(stream: AsyncIterable<EventBatch>) {
  const batches: EventBatch[] = [];
  try {
    for await (const batch of stream) batches.push(batch);
    return { batches };
  } catch (error) {
    return { batches, error };
  }
}

describe('the stream of events', () => {
  it('asks behind a cursor, gives every sign of life, and ends where the server ends', async () => {
    const { stream, requests } = listen(': hello\n', event(41), event(42).slice(0, 9));
    const { batches, error } = await collect(stream);
    assert.equal(error, undefined);
    assert.deepEqual(
      batches.map(({ events, cursor }) => [events.length, cursor]),
      [
        [0, 40],
        [1, 41],
        [0, 41],
      ],
    );
    assert.equal(requests[0]?.headers.get('last-event-id'), '40');
    assert.equal(requests[0]?.headers.get('accept'), 'text/event-stream');
    assert.equal(new URL(requests[0]?.url ?? '').search, '', 'no wait: as a stream');
  });

  it('is an error where it was cut off, and what came before counts', async () => {
    const cut = new ChannelError('answer_truncated');
    const { batches, error } = await collect(listen(event(41), cut).stream);
    assert.equal(error, cut);
    assert.equal(batches.at(-1)?.cursor, 41);
    const broken = await collect(listen(event(41), new TypeError('network')).stream);
    assert.equal((broken.error as { code?: string }).code, 'unavailable');
  });

  it('refuses malformed events, other types, and refusals', async () => {
    const malformed = await collect(listen('data: {}\n\n').stream);
    assert.equal((malformed.error as { code?: string }).code, 'malformed_answer');
    const signal = new AbortController().signal;
    const of = (response: Response) =>
      createRecordsClient(async () => response).eventStream(0, signal);
    const html = await collect(
      of(new Response('<p>', { headers: { 'content-type': 'text/html' } })),
    );
    assert.equal((html.error as { code?: string }).code, 'malformed_answer');
    const gone = await collect(of(new Response('', { status: 401 })));
    assert.equal((gone.error as { code?: string }).code, 'unauthorized');
  });

  it('lets go of the answer when nobody reads on', async () => {
    const { stream, wasCancelled } = listen(event(41), event(42), event(43));
    for await (const batch of stream) if (batch.cursor === 41) break;
    assert.equal(wasCancelled(), true);
  });

  it('throws the reason of an abort, not what broke by it', async () => {
    const { stream, stop } = listen(event(41), new TypeError('aborted'));
    await stream.next();
    stop.abort(new Error('left'));
    await assert.rejects(stream.next(), { message: 'left' });
  });
});

/** What comes of two events where the answer ends after so many of its pieces. */
async function cutAfter(pieces: number) {
  let passed = 0;
  const setup = await chunkedSetup({
    app() {
      const parts = [event(41), event(42)];
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          const part = parts.shift();
          if (part === undefined) controller.close();
          else controller.enqueue(encodeUtf8(part));
        },
      });
      return new Response(body, { headers: EVENT_STREAM });
    },
    async *onResponse(passing) {
      for await (const piece of passing) {
        if (passed === pieces) return;
        passed += 1;
        yield piece;
      }
    },
  });
  const client = createRecordsClient((request) => setup.fetch(request));
  const { batches, error } = await collect(client.eventStream(40, new AbortController().signal));
  return { error, cursor: batches.at(-1)?.cursor ?? 40, passed };
}

describe('the stream of events, in a channel', () => {
  it('is whole only with its final chunk: wherever it is cut, that is an error', async () => {
    const whole = await cutAfter(Infinity);
    assert.deepEqual([whole.error, whole.cursor], [undefined, 42]);
    const cursors = new Set<number>();
    for (let pieces = 0; pieces < whole.passed; pieces++) {
      const { error, cursor } = await cutAfter(pieces);
      assert.ok(error instanceof ChannelError, `after ${pieces} of ${whole.passed}`);
      assert.equal(error.code, 'answer_truncated');
      cursors.add(cursor);
    }
    assert.deepEqual([...cursors], [40, 41, 42], 'what came before the cut counts');
  });
});
