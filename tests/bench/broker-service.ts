import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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
  type ServiceIdentity,
} from '@cloister/attester';
import { parseJsonObject, type JsonObject } from '@cloister/bytes';
import { BrokerClient } from '@cloister/client';
import { createHttpClient, nodeChannelPrimitives } from '@cloister/service';

/** A broker that runs, and a service that the manifest lets have a secret of it. */
export interface BenchedBroker {
  readonly client: BrokerClient;
  readonly identity: ServiceIdentity;
  /** The folder in which the broker's database lies: the disk that its commits go to. */
  readonly folder: string;
  readonly stop: () => Promise<void>;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'services/key-broker/src/main.ts');
/** `records`, as far as the manifest of this bench knows: its code is not what is measured. */
const RECORDS = 'a1'.repeat(32);

/** Starts the real process of a party's broker, on simulated hardware with an SQLite file. */
export async function startBroker(): Promise<BenchedBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-bench-broker-'));
  const places = ['--platform', join(folder, 'platform'), '--data', join(folder, 'hospital')];
  const args = ['--conditions=@cloister/source', MAIN, '--party', 'hospital', ...places];
  const prepared = await promisify(execFile)(process.execPath, [...args, '--prepare']);
  const last = prepared.stdout.trim().split('\n').at(-1) ?? '';
  const manifest = await agree(folder, parseJsonObject(last, 'prepared')['brokerKey'] ?? null);
  const more = ['--manifest', join(folder, 'manifest.json'), '--port', '0'];
  const child = spawn(process.execPath, [...args, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const transport = createHttpClient();
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    transport.close();
    await ended;
    rmSync(folder, { recursive: true });
  };
  const identity = await createIdentity({
    service: 'records',
    manifests: [manifest.id],
    attester: createSimulatedAttester({
      platform: await openSimulatedPlatform(join(folder, 'platform')),
      mrenclave: RECORDS,
      isvProdId: PRODUCT_IDS.records,
    }),
  });
  for await (const line of createInterface(child.stdout)) {
    const url = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    const client = new BrokerClient({
      baseUrl: url,
      manifest,
      transport,
      now: () => new Date(),
      random: (length) => new Uint8Array(randomBytes(length)),
      primitives: nodeChannelPrimitives(),
    });
    return { client, identity, folder, stop };
  }
  throw new RangeError('the key broker did not start');
}

/** A manifest of one party, which is in force by its signature alone. */
async function agree(folder: string, sig: JsonObject[string]): Promise<TrustedManifest> {
  const platform = await openSimulatedPlatform(join(folder, 'platform'));
  const es256 = { name: 'ECDSA', namedCurve: 'P-256' };
  const party = await crypto.subtle.generateKey(es256, true, ['sign', 'verify']);
  const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', party.publicKey);
  const key = { kty: 'EC', crv: 'P-256', x, y };
  const draft: JsonObject = {
    apiVersion: 'cloister.dev/v1',
    deployment: 'bench',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: { hospital: { keys: [key], broker: { sig } } },
    quorum: { update: { of: ['hospital'], min: 1 } },
    evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
    issuers: [],
    services: {
      records: identityOf('records', RECORDS),
      'key-broker': identityOf(
        'key-broker',
        await measureService({ root: ROOT, service: 'key-broker' }),
      ),
    },
    secrets: { 'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] } },
  };
  const manifest = parseManifest(JSON.stringify(draft));
  const hospital = await signManifest(await manifestId(manifest), 'hospital', party.privateKey);
  const signatures = { hospital };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ manifest: draft, signatures }));
  const verdict = await verifyManifest(manifest, signatures, { pinned: undefined });
  if (!verdict.ok) throw new RangeError(`the manifest of the bench: ${verdict.code}`);
  return verdict.claims;
}

function identityOf(service: 'records' | 'key-broker', mrenclave: string): JsonObject {
  const code = { mrenclave: [mrenclave], mrsigner: [SIMULATED_MRSIGNER] };
  return {
    identity: {
      anyOf: [{ tee: 'sgx', ...code, isvProdId: PRODUCT_IDS[service], minIsvSvn: 1 }],
    },
  };
}
