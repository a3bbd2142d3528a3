/**
 * Everything on one machine: two banks' keys, their agreement, the service on simulated hardware, and
 * both banks. `--service <folder>` runs other code than was agreed on. Exit code 2: nobody trusted it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Manifest, manifestId, platformRootDigest, signManifest } from '@cloister/attestation';
import { measureService, openSimulatedPlatform } from '@cloister/attester';
import { parseJwk } from '@cloister/crypto';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BANKS = ['north-bank', 'south-bank'] as const;
type Bank = (typeof BANKS)[number];

const { values } = parseArgs({ options: { service: { type: 'string', default: HERE } } });
const folder = await mkdtemp(join(tmpdir(), 'joint-analytics-'));
let service: ChildProcess | undefined;
try {
  const manifestFile = join(folder, 'trust-manifest.json');
  const agreement = await agree();
  await writeFile(manifestFile, JSON.stringify(agreement, null, 2));

  const started = await startService(manifestFile);
  service = started.child;
  const outcomes = await Promise.all(BANKS.map((bank) => runBank(bank, manifestFile, started.url)));
  for (const [i, { code, said }] of outcomes.entries()) {
    process.stdout.write(code === 0 ? `${BANKS[i]}: ${said}` : said);
    process.exitCode = Math.max(code, Number(process.exitCode ?? 0));
  }
} finally {
  service?.kill('SIGTERM');
  await rm(folder, { recursive: true, force: true });
}

/** The trust manifest: which code both banks will give their rows to, signed by both. */
async function agree(): Promise<{ manifest: Manifest; signatures: Record<Bank, string> }> {
  const keys = {
    'north-bank': await makeKey('north-bank'),
    'south-bank': await makeKey('south-bank'),
  };
  const platform = await openSimulatedPlatform(folder);
  const manifest: Manifest = {
    apiVersion: 'cloister.dev/v1',
    deployment: 'joint-analytics',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: {
      'north-bank': { keys: [keys['north-bank'].publicJwk] },
      'south-bank': { keys: [keys['south-bank'].publicJwk] },
    },
    quorum: { update: { of: [...BANKS], min: BANKS.length } },
    evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
    issuers: [],
    services: {
      'joint-analytics': {
        identity: {
          anyOf: [
            {
              tee: 'sgx',
              // Each bank measures the code that it read: here both did.
              mrenclave: [
                await measureService({ root: ROOT, service: 'joint-analytics', folder: HERE }),
              ],
              isvProdId: 200,
              minIsvSvn: 1,
              tcb: ['UpToDate'],
            },
          ],
        },
      },
    },
  };
  const id = await manifestId(manifest);
  return {
    manifest,
    signatures: {
      'north-bank': await signManifest(id, 'north-bank', keys['north-bank'].privateKey),
      'south-bank': await signManifest(id, 'south-bank', keys['south-bank'].privateKey),
    },
  };
}

async function makeKey(bank: Bank) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', pair.privateKey);
  await writeFile(join(folder, `${bank}.pkcs8`), new Uint8Array(pkcs8), { mode: 0o600 });
  await writeFile(join(folder, `${bank}.csv`), madeUpRows(bank));
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
  } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return { publicJwk: parseJwk({ kty, crv, x, y }), privateKey: pair.privateKey };
}

/** 400 customers each, 200 of them in common; south lends more to whom north lends more. */
function madeUpRows(bank: Bank): string {
  const first = bank === 'north-bank' ? 0 : 200;
  return Array.from({ length: 400 }, (_, i) => {
    const customer = first + i;
    const base = ((customer * 7919) % 1000) + 50;
    const exposure = bank === 'north-bank' ? base : 2 * base + ((customer * 104_729) % 300);
    return `C-${String(customer).padStart(6, '0')},${exposure}.00\n`;
  }).join('');
}

async function startService(manifestFile: string): Promise<{ child: ChildProcess; url: string }> {
  const entry = join(values.service, 'src', 'main.ts');
  const args = [...process.execArgv, entry, '--platform', folder, '--manifest', manifestFile];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new TypeError('the service did not start');
}

/** What one bank's process said, and its exit code: 2 where it did not trust the service. */
function runBank(bank: Bank, manifestFile: string, url: string) {
  const args = ['--name', bank, '--manifest', manifestFile, '--url', url];
  const own = ['--key', join(folder, `${bank}.pkcs8`), '--rows', join(folder, `${bank}.csv`)];
  const program = [...process.execArgv, join(HERE, 'bank.ts'), ...args, ...own];
  return new Promise<{ readonly code: number; readonly said: string }>((resolve) => {
    const child = execFile(process.execPath, program, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? 1, said: stdout + stderr });
    });
  });
}
