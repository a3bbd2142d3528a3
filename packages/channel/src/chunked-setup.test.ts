// Both halves of a channel over bytes, with hands on everything that passes between them.
import { type Bytes, concatBytes } from '@cloister/bytes';
import { varintOf, varintSize } from './binary-http/varint.ts';
import { type ChannelFetch, type ChannelOptions, createChannel } from './channel.ts';
import { NOW, peerWith, random, URL_OF_GATEWAY } from './channel-setup.test.ts';
import { createGateway } from './gateway.ts';
import type { Gateway, GatewayOptions } from './gateway-options.ts';
import { type ChannelKeys, createChannelKeys, encodeKeyConfigs } from './ohttp/channel-keys.ts';
import { lendBody } from './wire/lent-body.ts';
import { isAtHand, type WireAnswer, type WireCall } from './wire/wire-transport.ts';

/** What passes in one direction: everything before the chunks, then the chunks with their lengths. */
export interface Sealed {
  readonly start: Bytes;
  readonly chunks: readonly Bytes[];
}

export type Stream = AsyncIterable<Uint8Array>;
type Change = (passing: Stream, n: number) => Stream;

/** x25519 and AES-256-GCM: header and encapsulated key; response nonce. */
export const REQUEST_START = 7 + 32;
export const RESPONSE_START = 32;

export interface Chunked {
  readonly keys: ChannelKeys;
  readonly gateway: Gateway;
  readonly fetch: ChannelFetch;
  readonly calls: WireCall[];
  readonly answers: Response[];
  /** All bytes of each request and answer, as far as they were read. */
  readonly sent: Uint8Array[][];
  readonly received: Uint8Array[][];
}

export async function chunkedSetup(options: {
  readonly app: (request: Request) => Promise<Response> | Response;
  readonly gateway?: Partial<GatewayOptions>;
  readonly channel?: Partial<ChannelOptions>;
  readonly onRequest?: Change;
  readonly onResponse?: Change;
  readonly instead?: () => Response;
}): Promise<Chunked> {
  const { onRequest = same, onResponse = same } = options;
  const keys = await createChannelKeys({ kem: 'x25519', keyId: 5 });
  const gateway = createGateway({
    keys: () => [keys],
    now: () => new Date(NOW),
    fetch: options.app,
    ...options.gateway,
  });
  const calls: WireCall[] = [];
  const answers: Response[] = [];
  const sent: Uint8Array[][] = [];
  const received: Uint8Array[][] = [];
  const exchange = async (call: WireCall): Promise<WireAnswer> => {
    const n = calls.push(call) - 1;
    const body: Stream = isAtHand(call.body) ? iterate(call.body) : call.body;
    const cancelled = new AbortController();
    const request = new Request(call.url, {
      method: 'POST',
      headers: call.headers,
      signal: AbortSignal.any([call.signal, cancelled.signal]),
    });
    lendBody(request, noted(onRequest(body, n), sent));
    const response = options.instead?.() ?? (await gateway.handle(request));
    answers.push(response);
    const reader = response.body?.getReader();
    const cancel = (): void => {
      cancelled.abort();
      reader?.cancel().catch(() => undefined);
    };
    const answer = onResponse(iterateReader(reader), n);
    return {
      status: response.status,
      headers: response.headers,
      body: noted(answer, received),
      cancel,
    };
  };
  const transport = Object.assign(() => Promise.reject(new Error('not by fetch')), { exchange });
  const fetch = createChannel({
    peer: peerWith(encodeKeyConfigs(keys)),
    url: URL_OF_GATEWAY,
    transport,
    now: () => new Date(NOW),
    random,
    kems: ['x25519'],
    ...options.channel,
  });
  return { keys, gateway, fetch, calls, answers, sent, received };
}

const same: Change = (passing) => passing;

async function* iterate(pieces: Iterable<Bytes>): AsyncGenerator<Bytes> {
  yield* pieces;
}

async function* iterateReader(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) return;
    yield value;
  }
}

function noted(passing: Stream, log: Uint8Array[][]): Stream {
  const pieces: Uint8Array[] = [];
  log.push(pieces);
  return (async function* () {
    for await (const piece of passing) {
      pieces.push(piece);
      yield piece;
    }
  })();
}

/** A sealed message taken apart. */
export function takeApart(bytes: Bytes, startSize: number): Sealed {
  const chunks: Bytes[] = [];
  for (let at = startSize; at < bytes.length; ) {
    const size = varintSize(bytes[at] ?? 0);
    const length = varintOf(bytes.subarray(at, at + 1), bytes.subarray(at + 1, at + size)) ?? 0;
    const end = length === 0 ? bytes.length : at + size + length;
    chunks.push(bytes.slice(at, end));
    at = end;
  }
  return { start: bytes.slice(0, startSize), chunks };
}

export async function collect(source: Stream): Promise<Bytes> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return concatBytes(...pieces);
}

/** Lets a whole message through only after it was changed, piece by piece of the given size. */
export function changed(
  startSize: number,
  change: (sealed: Sealed, n: number) => readonly Bytes[],
  pieceSize = 10_000,
): Change {
  return async function* (passing, n) {
    const bytes = concatBytes(...change(takeApart(await collect(passing), startSize), n));
    for (let at = 0; at < bytes.length; at += pieceSize) yield bytes.slice(at, at + pieceSize);
  };
}

/** What an attacker between the two halves can do with chunks; each must show. */
export const ATTACKS: Readonly<
  Record<string, (sealed: Sealed, other: Sealed) => readonly Bytes[]>
> = {
  'the final chunk is missing': ({ start, chunks }) => [start, ...chunks.slice(0, -1)],
  'only the final length is there': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, -1),
    Uint8Array.of(0),
  ],
  'cut within a chunk': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 2),
    (chunks[2] ?? start).slice(0, 1000),
  ],
  'cut within a length': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 2),
    (chunks[2] ?? start).slice(0, 1),
  ],
  'an earlier chunk made the final one': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 2),
    Uint8Array.of(0),
    (chunks[2] ?? start).slice(4),
  ],
  'a chunk left out': ({ start, chunks }) => [start, ...chunks.slice(0, 2), ...chunks.slice(3)],
  'two chunks in the other order': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 1),
    ...chunks.slice(1, 3).toReversed(),
    ...chunks.slice(3),
  ],
  'a chunk twice': ({ start, chunks }) => [start, ...chunks.slice(0, 2), ...chunks.slice(1)],
  'a chunk of another message': ({ start, chunks }, other) => [
    start,
    ...chunks.slice(0, 2),
    ...other.chunks.slice(2, 3),
    ...chunks.slice(3),
  ],
  'the rest of another message': ({ start, chunks }, other) => [
    start,
    ...chunks.slice(0, 2),
    ...other.chunks.slice(2),
  ],
  'the final chunk of another message': ({ start, chunks }, other) => [
    start,
    ...chunks.slice(0, -1),
    ...other.chunks.slice(-1),
  ],
  'data behind the final chunk': ({ start, chunks }) => [start, ...chunks, Uint8Array.of(0)],
  'a second final chunk': ({ start, chunks }) => [start, ...chunks, ...chunks.slice(-1)],
  'a bit of a chunk changed': ({ start, chunks }) => [
    start,
    ...chunks.map((chunk, i) => (i === 2 ? flip(chunk, 500) : chunk)),
  ],
  'a bit of the final tag changed': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, -1),
    flip(chunks.at(-1) ?? start, 5),
  ],
  'two chunks behind one length': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 1),
    Uint8Array.of(0x80, 0, 0x80, 0x20),
    ...chunks.slice(1, 3).map((chunk) => chunk.slice(4)),
    ...chunks.slice(3),
  ],
  'a giant length': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 2),
    new Uint8Array(8).fill(0xff),
    new Uint8Array(100),
  ],
  'an empty chunk in the middle': ({ start, chunks }) => [
    start,
    ...chunks.slice(0, 2),
    Uint8Array.of(16),
    new Uint8Array(16),
    ...chunks.slice(2),
  ],
};

export function flip(bytes: Bytes, at: number): Bytes {
  const out = bytes.slice();
  out[at] = (out[at] ?? 0) ^ 1;
  return out;
}

export const requestOf = (init: RequestInit = { method: 'POST' }): Request =>
  new Request('https://ignored.example/upload?a=1', init);
