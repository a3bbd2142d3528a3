import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
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

/** A running service, and what it costs. */
export interface BenchedService {
  /** Attests one quote and has the token in hand. */
  readonly attest: () => Promise<void>;
  /** Seconds of CPU that the process has used. */
  readonly cpuSeconds: () => number;
  /** Bytes of memory that it holds. */
  readonly residentBytes: () => number;
  readonly stop: () => Promise<void>;
}

/** More quotes than the service remembers keys: each brings an attestation key that is new to it. */
const QUOTES = 3000;
const TICKS_PER_SECOND = 100;

/** Starts the real process, on simulated hardware, signing with this algorithm. */
export async function startService(alg: 'RS256' | 'ES256'): Promise<BenchedService> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-bench-'));
  const manifest = await writeManifest(folder);
  const main = fileURLToPath(new URL('../../services/attestation/src/main.ts', import.meta.url));
  const flags = ['--platform', folder, '--manifest', manifest, '--port', '0', '--token-alg', alg];
  const child = spawn(process.execPath, ['--conditions=@cloister/source', main, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    agent.destroy();
    await ended;
    rmSync(folder, { recursive: true });
  };
  const bodies = await makeBodies(folder);
  for await (const line of createInterface(child.stdout)) {
    const url = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    let next = 0;
    return {
      attest: () => post(url, bodies[next++ % bodies.length] ?? '', agent),
      cpuSeconds: () => {
        const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
        // After the name in brackets: state is field 3, utime 14, stime 15.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
      },
      residentBytes: () => {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
      },
      stop,
    };
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

/** Quotes over different runtime data, each by an attestation key of its own. */
async function makeBodies(folder: string): Promise<readonly string[]> {
  const platform = await openSimulatedPlatform(folder);
  return Promise.all(
    Array.from({ length: QUOTES }, async () => {
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
}

function post(url: string, body: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const target = `${url}/attest/Simulated?api-version=2025-06-01`;
    const call = request(target, { agent, method: 'POST', headers }, (answer) => {
      let length = 0;
      answer.on('data', (part: Buffer) => (length += part.length));
      answer.once('end', () => {
        // A token for an enclave has some three thousand characters; nothing else has.
        if (answer.statusCode === 200 && length > 1000) resolve();
        else reject(new RangeError(`an attestation failed with ${answer.statusCode}`));
      });
    });
    call.once('error', reject);
    call.end(body);
  });
}
