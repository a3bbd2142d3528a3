import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  manifestId,
  parseManifest,
  platformRootDigest,
  signManifest,
  verifyManifest,
  type TrustedManifest,
} from '@cloister/attestation';
import {
  createIdentity,
  createSimulatedAttester,
  measureService,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import type { JsonObject } from '@cloister/bytes';
import { fetchSecret } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import { p256, publicJwk, random } from './scene-keys.test.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RECORDS = 'a1'.repeat(32);
const OPTIONS = ['--conditions=@cloister/source', '--disable-warning=ExperimentalWarning'];

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly output: string[];
}

let folder: string;
let platform: SimulatedMachine;
let manifest: TrustedManifest;
const children = new Set<ChildProcess>();
const transport = createHttpClient();

function args(...more: string[]): string[] {
  const data = join(folder, 'hospital');
  const places = ['--platform', join(folder, 'platform'), '--data', data];
  return [...OPTIONS, MAIN, '--party', 'hospital', ...places, ...more];
}

async function start(...more: string[]): Promise<Running> {
  const child = spawn(process.execPath, args(...more), { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const output: string[] = [];
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      output.push(line);
      const found = /^listening on (.*)$/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', (code) => reject(new assert.AssertionError({ message: `exit ${code}` })));
  });
  return { child, url, output };
}

async function stop(
  { child }: Running,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<number | null> {
  const gone = once(child, 'exit');
  child.kill(signal);
  const [code] = (await gone) as [number | null];
  children.delete(child);
  return code;
}

async function ask({ url }: Running) {
  const identity = await createIdentity({
    service: 'records',
    manifests: [manifest.id],
    attester: createSimulatedAttester({
      platform,
      mrenclave: RECORDS,
      isvProdId: PRODUCT_IDS.records,
    }),
  });
  return fetchSecret({
    baseUrl: url,
    manifest,
    transport,
    now: () => new Date(),
    random,
    name: 'tenant-key',
    service: 'records',
    identity,
  });
}

const sgx = (service: 'records' | 'key-broker', mrenclave: string): JsonObject => ({
  identity: {
    anyOf: [
      {
        tee: 'sgx',
        mrenclave: [mrenclave],
        mrsigner: [SIMULATED_MRSIGNER],
        isvProdId: PRODUCT_IDS[service],
        minIsvSvn: 1,
      },
    ],
  },
});

const refuse = async (argv: string[], expected: RegExp, code: number): Promise<void> => {
  const failed = await promisify(execFile)(process.execPath, argv).then(
    () => ({ code: 0, stderr: '' }),
    (error: unknown) => error as { code: number; stderr: string },
  );
  assert.equal(failed.code, code);
  assert.match(failed.stderr, expected);
};

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-broker-main-'));
  platform = await openSimulatedPlatform(join(folder, 'platform'));
  const { stdout } = await promisify(execFile)(process.execPath, args('--prepare'));
  const { brokerKey } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
    brokerKey: JsonObject;
  };
  const hospital = await p256();
  const draft = {
    apiVersion: 'cloister.dev/v1',
    deployment: 'main-test',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: {
      hospital: { keys: [{ ...(await publicJwk(hospital)) }], broker: { sig: brokerKey } },
    },
    quorum: { update: { of: ['hospital'], min: 1 } },
    evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
    issuers: [],
    services: {
      records: sgx('records', RECORDS),
      'key-broker': sgx('key-broker', await measureService({ root: ROOT, service: 'key-broker' })),
    },
    secrets: { 'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] } },
  };
  const parsed = parseManifest(JSON.stringify(draft));
  const id = await manifestId(parsed);
  const signatures = { hospital: await signManifest(id, 'hospital', hospital.privateKey) };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ manifest: draft, signatures }));
  const verdict = await verifyManifest(parsed, signatures, { pinned: undefined });
  assert.ok(verdict.ok);
  manifest = verdict.claims;
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  transport.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the key broker as a process', () => {
  it('releases by real evidence, the same after kill -9, and keeps no secret in the clear', async () => {
    const file = ['--manifest', join(folder, 'manifest.json')];
    const first = await start(...file);
    const released = await ask(first);
    assert.ok(released.ok, JSON.stringify(released));
    await stop(first, 'SIGKILL');
    // The manifest is in its log by now: the host need not give it again.
    const second = await start();
    const again = await ask(second);
    assert.ok(again.ok, JSON.stringify(again));
    assert.deepEqual(again.claims.versions, released.claims.versions);
    const value = Buffer.from(released.claims.versions[0]?.value ?? []);
    const disk = Buffer.concat(
      ['broker.db', 'broker.db-wal'].map((name) => readFileSync(join(folder, 'hospital', name))),
    );
    assert.ok(!disk.includes(value));
    assert.ok(!disk.includes(Buffer.from(value.toString('base64url'))));
    const output = [...first.output, ...second.output].join('\n');
    assert.ok(
      !output.includes(value.toString('base64url')) && !output.includes(value.toString('hex')),
    );
    assert.equal(await stop(second), 0);
  });

  it('serves the vault over TLS of its own, where it is told to', async () => {
    const running = await start('--vault-port', '0');
    const url = await new Promise<string>((resolve) => {
      const look = setInterval(() => {
        const line = running.output.find((one) => one.startsWith('vault on '));
        if (line === undefined) return;
        clearInterval(look);
        resolve(line.slice('vault on '.length));
      }, 20);
    });
    assert.match(url, /^https:\/\/localhost:\d+$/);
    assert.equal(await stop(running), 0);
  });

  it('does not start beside itself, for another party, or without its settings', async () => {
    const running = await start();
    await refuse(args(), /in_use/, 1);
    await stop(running);
    const other = args();
    other[other.indexOf('hospital')] = 'diagnostics';
    await refuse(other, /not_authentic/, 1);
    await refuse([...OPTIONS, MAIN, '--party', 'hospital'], /data: needed/, 2);
    await refuse([...OPTIONS, MAIN, '--data', join(folder, 'x')], /party/, 2);
  });
});
