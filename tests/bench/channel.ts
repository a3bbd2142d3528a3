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
import type { Report } from './figure.ts';

const MIB = 1024 * 1024;
const SIZES = [
  ['50 kB', 50_176],
  ['1 MiB', MIB],
  ['4 MiB', 4 * MIB],
] as const;
const WARM_UP = 20;
const random = (length: number): Bytes => new Uint8Array(nodeCrypto.randomBytes(length));
const now = (): Date => new Date();
const NODE = nodeChannelPrimitives();

/**
 * Requests of several sizes, answers of 2 kB; X-Wing, AES-256-GCM, one call at a time.
 *
 * - `in memory`: both halves of the channel and the application, no socket between them; against what no
 *   channel can do without: AES-GCM over the same bytes, sealed and opened, and one KEM, by node:crypto.
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
      const floor = floorOf(content);
      for (const [how, chunked] of [
        ['', false],
        [', in chunks', true],
      ] as const) {
        const step = () => call(inMemory, content, chunked);
        const [ms = 0, floorMs = 0] = await inTurns(size, [step, floor]);
        const against = `AES-256-GCM over the bytes + one KEM ${floorMs.toFixed(2)} ms`;
        report(figure(`round trip in memory ${label}${how}`, ms, floorMs, against));
      }
      const [httpMs = 0, plainMs = 0] = await inTurns(size, [
        () => call(overHttp, content),
        () => plainCall(client, `${serving.url}/plain`, content),
      ]);
      const plain = `without the channel ${plainMs.toFixed(2)} ms`;
      report(figure(`round trip over HTTP ${label}`, httpMs, plainMs, plain));
    }
    const web = channelOver(client, WEB_PRIMITIVES);
    const content = random(SIZES[0][1]);
    const [webMs = 0, nodeMs = 0] = await inTurns(content.length, [
      () => call(web, content),
      () => call(overHttp, content),
    ]);
    const against = `node:crypto in both halves ${nodeMs.toFixed(2)} ms`;
    report(figure('round trip over HTTP 50 kB, client on WebCrypto', webMs, nodeMs, against));
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

async function answer(request: Request): Promise<Response> {
  await request.bytes();
  return new Response(new Uint8Array(2048));
}

const post = (path: string): Request => new Request(`https://bench${path}`, { method: 'POST' });

async function call(channel: ChannelFetch, content: Bytes, chunked = false): Promise<void> {
  const response = await channel(post('/plain'), { content, chunked });
  if ((await response.bytes()).length !== 2048) throw new TypeError('a wrong answer');
}

/** The same bytes by the same client, on its fastest way. */
async function plainCall(client: WireTransport, url: string, content: Bytes): Promise<void> {
  const { signal } = new AbortController();
  const headers = { 'content-type': 'application/octet-stream' };
  const { body } = await client.exchange({ url, headers, body: [content], signal });
  let length = 0;
  for await (const piece of body) length += piece.length;
  if (length !== 2048) throw new TypeError('a wrong answer');
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

/** AES-256-GCM sealing and opening, ML-KEM-768 and X25519 on both sides, by node:crypto. */
function floorOf(body: Bytes): () => void {
  const key = nodeCrypto.createSecretKey(random(32));
  const nonce = random(12);
  const lattice = nodeCrypto.generateKeyPairSync('ml-kem-768');
  const curve = nodeCrypto.generateKeyPairSync('x25519');
  return () => {
    const { ciphertext } = nodeCrypto.encapsulate(lattice.publicKey);
    nodeCrypto.decapsulate(lattice.privateKey, ciphertext);
    const ephemeral = nodeCrypto.generateKeyPairSync('x25519');
    nodeCrypto.diffieHellman({ privateKey: ephemeral.privateKey, publicKey: curve.publicKey });
    nodeCrypto.diffieHellman({ privateKey: curve.privateKey, publicKey: ephemeral.publicKey });
    const cipher = nodeCrypto.createCipheriv('aes-256-gcm', key, nonce);
    const sealed = cipher.update(body);
    cipher.final();
    const decipher = nodeCrypto.createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAuthTag(cipher.getAuthTag());
    decipher.update(sealed);
    decipher.final();
  };
}

/** Medians; taken in turns, so that what else the machine does falls on all, and garbage of others on none. */
async function inTurns(
  size: number,
  steps: readonly (() => void | Promise<void>)[],
): Promise<number[]> {
  const rounds = size > 2 * MIB ? 60 : 200;
  const times = steps.map((): number[] => []);
  globalThis.gc?.();
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [i, step] of steps.entries()) {
      // Servers come by here between requests; without, what is only weakly held is never let go.
      await new Promise((resolve) => setImmediate(resolve));
      const start = performance.now();
      await step();
      if (round >= 0) times[i]?.push(performance.now() - start);
    }
  }
  return times.map(median);
}

function figure(name: string, value: number, than: number, against: string) {
  return { name: `${name}, p50`, value, unit: 'ms', ratio: value / than, against };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function benchPeer(ohttp: Uint8Array): VerifiedPeer {
  const parts: unknown = { service: 'bench', ohttp: asBytes(ohttp) };
  return markVerified(parts as VerifiedPeer);
}
