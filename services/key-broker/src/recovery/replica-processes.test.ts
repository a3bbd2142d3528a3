import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
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
} from '@cloister/attester';
import type { Bytes, JsonObject } from '@cloister/bytes';
import { BrokerClient, machineOf, verifyService } from '@cloister/client';
import { createHttpClient } from '@cloister/service';
import {
  postgresMissing,
  startPostgres,
  type PostgresServer,
} from '../../../../packages/service/src/store/postgres-server.test.ts';
import { p256, publicJwk, random } from '../scene-keys.test.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const RECORDS = 'a1'.repeat(32);
const MACHINES = ['one', 'two'] as const;
type Machine = (typeof MACHINES)[number];
const now = (): Date => new Date();

describe('two machines with one store', { skip: postgresMissing }, () => {
  let folder: string;
  let postgres: PostgresServer;
  let manifest: TrustedManifest;
  let party: CryptoKeyPair;
  const children = new Set<ChildProcess>();
  const transport = createHttpClient();

  /** How the broker is started on a machine: its own processor and folder, the store of both. */
  const args = (machine: Machine, ...more: string[]): string[] => [
    '--conditions=@cloister/source',
    '--disable-warning=ExperimentalWarning',
    MAIN,
    '--party',
    'hospital',
    '--store',
    postgres.url,
    '--platform',
    join(folder, `platform-${machine}`),
    '--data',
    join(folder, machine),
    ...more,
  ];

  async function start(machine: Machine, ...more: string[]) {
    const child = spawn(process.execPath, args(machine, ...more), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    const url = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const found = /^listening on (.*)$/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.once('exit', (code) => reject(new assert.AssertionError({ message: `exit ${code}` })));
    });
    const stop = async (signal: NodeJS.Signals): Promise<void> => {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
      children.delete(child);
    };
    return { url, stop };
  }

  const clientOf = (url: string): BrokerClient =>
    new BrokerClient({ baseUrl: url, manifest, transport, now, random });

  async function tenantKey(url: string): Promise<Bytes | undefined> {
    const platform = await openSimulatedPlatform(join(folder, 'platform-one'));
    const code = { mrenclave: RECORDS, isvProdId: PRODUCT_IDS.records };
    const identity = await createIdentity({
      service: 'records',
      manifests: [manifest.id],
      attester: createSimulatedAttester({ platform, ...code }),
    });
    const query = { name: 'tenant-key', service: 'records', identity };
    const result = await clientOf(url).fetchSecret(query);
    assert.ok(result.ok, JSON.stringify(result));
    return result.claims.versions[0]?.value;
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cloister-broker-replicas-'));
    postgres = startPostgres();
    party = await p256();
    const roots = await Promise.all(
      MACHINES.map(async (machine) =>
        platformRootDigest(await openSimulatedPlatform(join(folder, `platform-${machine}`))),
      ),
    );
    const { stdout } = await promisify(execFile)(process.execPath, args('one', '--prepare'));
    const { brokerKey } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      brokerKey: JsonObject;
    };
    const measured = await measureService({ root: ROOT, service: 'key-broker' });
    const draft: JsonObject = {
      apiVersion: 'cloister.dev/v1',
      deployment: 'replicas',
      profile: 'dev',
      serial: 1,
      lease: 900,
      parties: {
        hospital: { keys: [{ ...(await publicJwk(party)) }], broker: { sig: brokerKey } },
      },
      quorum: { update: { of: ['hospital'], min: 1 } },
      evidence: { roots: { simulated: roots.toSorted() }, platforms: 'any' },
      issuers: [],
      services: { records: sgx('records', RECORDS), 'key-broker': sgx('key-broker', measured) },
      secrets: { 'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] } },
    };
    const parsed = parseManifest(JSON.stringify(draft));
    const hospital = await signManifest(await manifestId(parsed), 'hospital', party.privateKey);
    const signatures = { hospital };
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ manifest: draft, signatures }));
    const verdict = await verifyManifest(parsed, signatures, { pinned: undefined });
    assert.ok(verdict.ok);
    manifest = verdict.claims;
  });
  after(() => {
    for (const child of children) child.kill('SIGKILL');
    transport.close();
    postgres.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('the second is opened by the first, serves the same keys, and goes on without it', {
    timeout: 180_000,
  }, async () => {
    const one = await start('one', '--manifest', join(folder, 'manifest.json'));
    const key = await tenantKey(one.url);
    const two = await start('two', '--replica', one.url);
    const client = clientOf(two.url);
    assert.equal((await client.state())['state'], 'sealed');

    const means = { transport, now, random, requireToken: false };
    const broker = { baseUrl: two.url, service: 'key-broker', manifest, ...means };
    const shown = await verifyService(broker);
    assert.ok(shown.ok, JSON.stringify(shown));
    const machine = machineOf(shown.claims) ?? assert.fail();
    const voice = { party: 'hospital', keys: [party.privateKey] };
    await clientOf(one.url).admitMachine(machine, true, voice);
    while ((await client.state())['state'] === 'sealed') await wait(100);

    assert.deepEqual(await tenantKey(two.url), key);
    await one.stop('SIGKILL');
    assert.deepEqual(await tenantKey(two.url), key);
    await two.stop('SIGTERM');
    // From now on the machine opens the broker by itself.
    const again = await start('two');
    assert.equal((await clientOf(again.url).state())['state'], 'active');
    assert.deepEqual(await tenantKey(again.url), key);
    await again.stop('SIGTERM');
  });
});

function sgx(service: 'records' | 'key-broker', mrenclave: string): JsonObject {
  const code = { mrenclave: [mrenclave], isvProdId: PRODUCT_IDS[service], minIsvSvn: 1 };
  return { identity: { anyOf: [{ tee: 'sgx', ...code }] } };
}
