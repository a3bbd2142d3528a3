import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  createSimulatedQuote,
  manifestId,
  platformRootDigest,
  reportDataFor,
  signManifest,
  type Manifest,
} from '@cloister/attestation';
import { openSimulatedPlatform } from '@cloister/attester';
import { encodeBase64url, encodeUtf8 } from '@cloister/bytes';
import { createHttpClient, type Fetch } from '@cloister/service';
import type { Report } from './figure.ts';
import { importP256, verifyP256 } from './node-evidence-crypto.ts';

const ROUNDS = 5;
const ROUND_MS = 500;
/** Callers at once: enough to keep the service busy. */
const CALLERS = 16;
const FLOOR = '1 RSA-2048 signature + 2 P-256 verifications + 1 key import, one core';

/**
 * Attestations per second of the real process through HTTP, each a fresh quote with runtime data
 * and a signed RS256 token; against the public-key operations that none can do without.
 */
export async function run(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-bench-'));
  const service = await startService(folder);
  const client = createHttpClient();
  try {
    const ask = await prepareRequests(folder, service.url, client);
    const floors: number[] = [];
    const rates: number[] = [];
    const alone: number[] = [];
    const floor = createFloor();
    for (let round = 0; round <= ROUNDS; round++) {
      const one = await rate(1, async () => floor());
      const single = await rate(1, ask);
      const many = await rate(CALLERS, ask);
      // The first round warms up.
      if (round === 0) continue;
      floors.push(one);
      alone.push(single);
      rates.push(many);
    }
    const unit = 'attestations/s';
    const base = median(floors);
    report({ name: 'floor, node:crypto', value: base, unit });
    for (const [callers, value] of [
      [1, median(alone)],
      [CALLERS, median(rates)],
    ] as const) {
      const name = `SGX v3 layout through HTTP, RS256, ${callers} at once`;
      report({ name, value, unit, ratio: value / base, against: FLOOR });
    }
  } finally {
    client.close();
    await service.stop();
    rmSync(folder, { recursive: true });
  }
}

async function startService(
  folder: string,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const manifest = await writeManifest(folder);
  const main = fileURLToPath(new URL('../../services/attestation/src/main.ts', import.meta.url));
  const flags = ['--platform', folder, '--manifest', manifest, '--port', '0'];
  const child = spawn(process.execPath, ['--conditions=@cloister/source', main, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  for await (const line of createInterface(child.stdout)) {
    const url = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return { url, stop };
  }
  throw new RangeError('the attestation service did not start');
}

async function writeManifest(folder: string): Promise<string> {
  const platform = await openSimulatedPlatform(folder);
  const es256 = { name: 'ECDSA', namedCurve: 'P-256' };
  const party = await crypto.subtle.generateKey(es256, true, ['sign', 'verify']);
  const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', party.publicKey);
  const manifest: Manifest = {
    apiVersion: 'cloister.dev/v1',
    deployment: 'bench',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: { hospital: { keys: [{ kty: 'EC', crv: 'P-256', x, y }] } },
    quorum: { update: { of: ['hospital'], min: 1 } },
    evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
    issuers: [],
    services: {},
  };
  const id = await manifestId(manifest);
  const hospital = await signManifest(id, 'hospital', party.privateKey);
  const file = join(folder, 'manifest.json');
  writeFileSync(file, JSON.stringify({ manifest, signatures: { hospital } }));
  return file;
}

/** Quotes over different runtime data, in turn; each answer must hold a token. */
async function prepareRequests(
  folder: string,
  url: string,
  client: Fetch,
): Promise<() => Promise<boolean>> {
  const platform = await openSimulatedPlatform(folder);
  const bodies = await Promise.all(
    Array.from({ length: 256 }, async () => {
      const nonce = encodeBase64url(new Uint8Array(randomBytes(32)));
      const runtime = encodeUtf8(JSON.stringify({ nonce }));
      const quote = await createSimulatedQuote(platform, {
        mrenclave: 'ab'.repeat(32),
        mrsigner: 'cd'.repeat(32),
        isvProdId: 1,
        isvSvn: 1,
        reportData: await reportDataFor(runtime),
      });
      const runtimeData = { data: encodeBase64url(runtime), dataType: 'JSON' };
      return JSON.stringify({ quote: encodeBase64url(quote), runtimeData });
    }),
  );
  let next = 0;
  return async () => {
    const answer = await client(
      new Request(`${url}/attest/Simulated?api-version=2025-06-01`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: bodies[next++ % bodies.length] ?? '',
      }),
    );
    return answer.status === 200 && (await answer.text()).startsWith('{"token":"');
  };
}

function createFloor(): () => boolean {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const point = ec.publicKey.export({ format: 'der', type: 'spki' }).subarray(-64);
  const pck = importP256(point);
  const report = randomBytes(384);
  const signed = randomBytes(432);
  const token = randomBytes(3000);
  const key = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  const [reportSignature, quoteSignature] = [
    sign('sha256', report, key),
    sign('sha256', signed, key),
  ];
  return () => {
    const attestation = importP256(point);
    return (
      pck !== undefined &&
      attestation !== undefined &&
      verifyP256(pck, reportSignature, report) &&
      verifyP256(attestation, quoteSignature, signed) &&
      sign('sha256', token, rsa.privateKey).length === 256
    );
  };
}

/** How often per second so many callers, each waiting for its own answer, get it done. */
async function rate(callers: number, task: () => Promise<boolean>): Promise<number> {
  const start = performance.now();
  let count = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() - start < ROUND_MS) {
      if (!(await task())) throw new RangeError('an attestation failed');
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return (1000 * count) / (performance.now() - start);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
