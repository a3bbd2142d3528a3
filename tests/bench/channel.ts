import * as nodeCrypto from 'node:crypto';
import type { VerifiedPeer } from '@cloister/attestation';
import { asBytes, type Bytes } from '@cloister/bytes';
import {
  createChannel,
  createChannelKeys,
  createGateway,
  encodeKeyConfigs,
  type Fetch,
} from '@cloister/channel';
import { createNodePrimitives, type HpkePrimitives, WEB_PRIMITIVES } from '@cloister/crypto';
import { createHttpClient, serve } from '@cloister/service';
// The bench stands in for the verifier: what verification costs is measured by other groups.
import { markVerified } from '../../packages/attestation/src/peer/verified-peer.ts';
import type { Report } from './figure.ts';

const SIZES = [
  ['50 kB', 50_176],
  ['1 MiB', 1_048_576],
  ['4 MiB', 4_194_304],
] as const;
const WARM_UP = 10;
const PROVIDERS: readonly (readonly [string, HpkePrimitives])[] = [
  ['WebCrypto', WEB_PRIMITIVES],
  [
    'node:crypto',
    createNodePrimitives<nodeCrypto.KeyObject, Buffer>(nodeCrypto, (bytes) => Buffer.from(bytes)),
  ],
];
const random = (length: number): Bytes => new Uint8Array(nodeCrypto.randomBytes(length));

/**
 * One call at a time: request of the given size, an answer of 2 kB, through node:http on this machine;
 * X-Wing, AES-256-GCM. Beside plain HTTP: the same call without the channel, and what no channel can do
 * without: AES-GCM over the same bytes, sealed and opened, and one KEM.
 */
export async function run(report: Report): Promise<void> {
  const transport = createHttpClient();
  for (const [provider, primitives] of PROVIDERS) {
    const keys = await createChannelKeys({ kem: 'x-wing', keyId: 1, primitives });
    const gateway = createGateway({ keys: () => [keys], now: () => new Date(), fetch: answer });
    const serving = await serve({
      app: {
        fetch: (request) =>
          request.url.endsWith('/gateway') ? gateway.handle(request) : answer(request),
      },
      port: 0,
    });
    try {
      const channel = createChannel({
        peer: benchPeer(encodeKeyConfigs(keys)),
        url: `${serving.url}/gateway`,
        transport,
        now: () => new Date(),
        random,
        primitives,
      });
      for (const [label, size] of SIZES)
        await measure(report, provider, label, size, channel, serving.url);
    } finally {
      await serving.close();
    }
  }
  transport.close();

  async function measure(
    to: Report,
    provider: string,
    label: string,
    size: number,
    channel: Fetch,
    url: string,
  ): Promise<void> {
    const body = random(size);
    const rounds = size > 2_000_000 ? 40 : 150;
    const call = (fetch: Fetch) => async () => {
      const request = new Request(`${url}/plain`, { method: 'POST', body });
      const response = await fetch(request);
      if ((await response.bytes()).length !== 2048) throw new TypeError('a wrong answer');
    };
    const floor = floorOf(body);
    // Taken in turns, so that whatever else the machine does falls on all three alike.
    const times = await inTurns(rounds, [call(channel), call(transport), floor]);
    const [channelMs = 0, plainMs = 0, floorMs = 0] = times.map(median);
    to({
      name: `round trip ${label}, ${provider}, p50`,
      value: channelMs,
      unit: 'ms',
      ratio: channelMs / plainMs,
      against: `plain HTTP ${plainMs.toFixed(2)} ms`,
    });
    to({
      name: `added by the channel ${label}, ${provider}, p50`,
      value: channelMs - plainMs,
      unit: 'ms',
      ratio: (channelMs - plainMs) / floorMs,
      against: `AES-256-GCM over the bytes + one KEM ${floorMs.toFixed(2)} ms`,
    });
  }
}

async function answer(request: Request): Promise<Response> {
  await request.arrayBuffer();
  return new Response(new Uint8Array(2048));
}

/** AES-256-GCM sealing and opening, ML-KEM-768 and X25519 on both sides, by node:crypto. */
function floorOf(body: Bytes): () => void {
  const key = random(32);
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

async function inTurns(
  rounds: number,
  steps: readonly (() => void | Promise<void>)[],
): Promise<number[][]> {
  const times = steps.map((): number[] => []);
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [i, step] of steps.entries()) {
      const start = performance.now();
      await step();
      if (round >= 0) times[i]?.push(performance.now() - start);
    }
  }
  return times;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function benchPeer(ohttp: Bytes): VerifiedPeer {
  const parts: unknown = { service: 'bench', ohttp: asBytes(ohttp) };
  return markVerified(parts as VerifiedPeer);
}
