import * as nodeCrypto from 'node:crypto';
import type { VerifiedPeer } from '@cloister/attestation';
import { asBytes, type Bytes } from '@cloister/bytes';
import {
  type ChannelFetch,
  createChannel,
  createChannelKeys,
  createGateway,
  encodeKeyConfigs,
  type Gateway,
  lendBody,
  type WireCall,
  type WireTransport,
} from '@cloister/channel';
import { type HpkePrimitives, WEB_PRIMITIVES } from '@cloister/crypto';
import { createHttpClient, nodeChannelPrimitives, serve } from '@cloister/service';
// The bench stands in for the verifier: what verification costs is measured by other groups.
import { markVerified } from '../../packages/attestation/src/peer/verified-peer.ts';
import { measureStreams } from './channel-stream.ts';
import type { Figure, Report } from './figure.ts';

const MIB = 1024 * 1024;
const SIZES = [
  ['50 kB', 50_176],
  ['1 MiB', MIB],
  ['4 MiB', 4 * MIB],
] as const;
/** A service that runs was compiled long ago. */
const WARM_UP_MS = 600;
/** In each round each is called so often. */
const CALLS = 5;
const SHORT: Bytes = new Uint8Array(2048);
const random = (length: number): Bytes => new Uint8Array(nodeCrypto.randomBytes(length));
const now = (): Date => new Date();
const NODE = nodeChannelPrimitives();

/**
 * X-Wing, AES-256-GCM, one call at a time.
 *
 * - `in memory`: both halves of the channel and the application, no socket between them; against what no
 *   channel can do without (`floorOf`). `each way`: the answer is as long as the request; else it is 2 kB.
 * - `over HTTP`: the same through node:http on this machine, against the same bytes without the channel.
 * - in chunks: 100 MiB through HTTP, and by how much that makes either process grow.
 */
export async function run(report: Report): Promise<void> {
  const keys = await createChannelKeys({ kem: 'x-wing', keyId: 1, primitives: NODE });
  const gateway = createGateway({
    keys: () => [keys],
    now,
    fetch: answer,
  });
  const ohttp = encodeKeyConfigs(keys);
  const client = createHttpClient();
  const serving = await serve({
    app: {
      fetch: (request) =>
        request.url.endsWith('/gateway') ? gateway.handle(request) : answer(request),
    },
    port: 0,
  });
  const channelOver = (transport: WireTransport, primitives: HpkePrimitives): ChannelFetch =>
    createChannel({
      peer: benchPeer(ohttp),
      url: `${serving.url}/gateway`,
      transport,
      now,
      random,
      primitives,
    });
  try {
    const inMemory = channelOver(memoryTransport(gateway), NODE);
    const overHttp = channelOver(client, NODE);
    for (const [label, size] of SIZES) {
      const content = random(size);
      for (const [how, path, chunked] of [
        ['', '/plain', false],
        [' each way', '/echo', false],
        [', in chunks', '/plain', true],
      ] as const) {
        const answered = path === '/echo' ? content : SHORT;
        report(
          await compare(`round trip in memory ${label}${how}`, size, {
            step: () => call(inMemory, path, content, chunked),
            than: floorOf([content, answered]),
            against: 'AES-256-GCM over the bytes + one X-Wing',
          }),
        );
      }
      report(
        await compare(`round trip over HTTP ${label}`, size, {
          step: () => call(overHttp, '/plain', content),
          than: () => plainCall(client, `${serving.url}/plain`, content),
          against: 'without the channel',
        }),
      );
    }
    const web = channelOver(client, WEB_PRIMITIVES);
    const content = random(SIZES[0][1]);
    report(
      await compare('round trip over HTTP 50 kB, client on WebCrypto', content.length, {
        step: () => call(web, '/plain', content),
        than: () => call(overHttp, '/plain', content),
        against: 'node:crypto in both halves',
      }),
    );
    await measureStreams(report, (list) => ({
      peer: benchPeer(list),
      now,
      random,
      primitives: NODE,
    }));
  } finally {
    client.close();
    await serving.close();
  }
}

/** What it was sent, or 2 kB. As a stream: of bytes in an array fetch would first make a copy. */
async function answer(request: Request): Promise<Response> {
  const content = await request.bytes();
  const answered = request.url.endsWith('/echo') ? content : SHORT;
  return new Response(
    new ReadableStream<Bytes>({
      start(controller) {
        controller.enqueue(answered);
        controller.close();
      },
    }),
  );
}

const post = (path: string): Request => new Request(`https://bench${path}`, { method: 'POST' });

async function call(
  channel: ChannelFetch,
  path: '/plain' | '/echo',
  content: Bytes,
  chunked = false,
): Promise<void> {
  const response = await channel(post(path), { content, chunked });
  const expected = path === '/echo' ? content.length : SHORT.length;
  if ((await response.bytes()).length !== expected) throw new TypeError('a wrong answer');
}

/** The same bytes by the same client, on its fastest way. */
async function plainCall(client: WireTransport, url: string, content: Bytes): Promise<void> {
  const { signal } = new AbortController();
  const headers = { 'content-type': 'application/octet-stream' };
  const { body } = await client.exchange({ url, headers, body: [content], signal });
  let length = 0;
  for await (const piece of body) length += piece.length;
  if (length !== SHORT.length) throw new TypeError('a wrong answer');
}

/** From client to gateway without a socket. */
function memoryTransport(gateway: Gateway): WireTransport {
  const exchange = async ({ url, headers, body }: WireCall) => {
    const request = new Request(url, { method: 'POST', headers });
    lendBody(request, 'length' in body ? piecesOf(body) : body);
    const response = await gateway.handle(request);
    const reader = response.body?.getReader();
    return {
      status: response.status,
      headers: response.headers,
      body: readerPieces(reader),
      // As off a wire: nobody else has what was read from a response.
      owned: true,
      cancel: () => void reader?.cancel(),
    };
  };
  return Object.assign(() => Promise.reject(new TypeError('by exchange only')), { exchange });
}

async function* piecesOf(pieces: readonly Bytes[]): AsyncGenerator<Bytes> {
  yield* pieces;
}

async function* readerPieces(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const result = await reader?.read();
    if (result === undefined || result.done) return;
    yield result.value;
  }
}

/**
 * What no channel can do without, by the same node:crypto: AES-256-GCM of what is sent and of what is
 * answered, each sealed once and opened once, unpadded and in one call; and one X-Wing encapsulation and
 * decapsulation (ML-KEM-768, X25519 with a fresh key, the hash over both). No key schedule, no message
 * format, no fetch objects, no copy.
 */
function floorOf(messages: readonly Bytes[]): () => void {
  const key = nodeCrypto.createSecretKey(random(32));
  const nonce = random(12);
  const lattice = nodeCrypto.generateKeyPairSync('ml-kem-768');
  const curve = nodeCrypto.generateKeyPairSync('x25519');
  const combined = random(134);
  return () => {
    const { ciphertext } = nodeCrypto.encapsulate(lattice.publicKey);
    nodeCrypto.decapsulate(lattice.privateKey, ciphertext);
    const ephemeral = nodeCrypto.generateKeyPairSync('x25519');
    nodeCrypto.diffieHellman({ privateKey: ephemeral.privateKey, publicKey: curve.publicKey });
    nodeCrypto.diffieHellman({ privateKey: curve.privateKey, publicKey: ephemeral.publicKey });
    for (let half = 0; half < 2; half++) nodeCrypto.hash('sha3-256', combined, 'buffer');
    for (const message of messages) {
      const cipher = nodeCrypto.createCipheriv('aes-256-gcm', key, nonce);
      const sealed = cipher.update(message);
      cipher.final();
      const decipher = nodeCrypto.createDecipheriv('aes-256-gcm', key, nonce);
      decipher.setAuthTag(cipher.getAuthTag());
      decipher.update(sealed);
      decipher.final();
    }
  };
}

type Step = () => void | Promise<void>;

/**
 * A step's median time, and the median of how many times as long as another it took in each round. Taken in
 * turns of a few calls, back and forth: so what else the machine does falls on both, and garbage of either on either.
 */
async function compare(
  name: string,
  size: number,
  { step, than, against }: { readonly step: Step; readonly than: Step; readonly against: string },
): Promise<Figure> {
  const rounds = size > 2 * MIB ? 20 : 50;
  const times: [number, number][] = [];
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; ) {
    await timeOf(step);
    await timeOf(than);
  }
  globalThis.gc?.();
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? await timeOfBlock(step) : 0;
    const other = await timeOfBlock(than);
    const own = round % 2 === 0 ? first : await timeOfBlock(step);
    times.push([own, other]);
  }
  const of = (pick: (time: [number, number]) => number): number => median(times.map(pick));
  return {
    name: `${name}, p50`,
    value: of(([own]) => own),
    unit: 'ms',
    ratio: of(([own, other]) => own / other),
    against: `${against} ${of(([, other]) => other).toFixed(2)} ms`,
  };
}

/** The median of a few calls, one after the other, as a service makes them. */
async function timeOfBlock(step: Step): Promise<number> {
  const times: number[] = [];
  for (let nth = 0; nth < CALLS; nth++) times.push(await timeOf(step));
  return median(times);
}

async function timeOf(step: Step): Promise<number> {
  // Servers come by here between requests; without, what is only weakly held is never let go.
  await new Promise((resolve) => setImmediate(resolve));
  const start = performance.now();
  await step();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function benchPeer(ohttp: Uint8Array): VerifiedPeer {
  const parts: unknown = { service: 'bench', ohttp: asBytes(ohttp) };
  return markVerified(parts as VerifiedPeer);
}
