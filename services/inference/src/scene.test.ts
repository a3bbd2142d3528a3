import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Hono } from 'hono';
import {
  createSimulatedPlatform,
  keysOf,
  manifestId,
  parseEnvelope,
  parseManifest,
  platformRootDigest,
  reportDataFor,
  signManifest,
  signToken,
  verifyManifest,
  verifyPeer,
  type HeadJudge,
  type SimulatedPlatform,
  type TrustedManifest,
  type VerifiedPeer,
} from '@cloister/attestation';
import { ManifestFollower } from '@cloister/client';
import {
  createIdentity,
  createSimulatedAttester,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type ServiceIdentity,
} from '@cloister/attester';
import {
  decodeUtf8,
  encodeBase64url,
  encodeHex,
  parseJson,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import {
  createChannel,
  createChannelKeys,
  encodeKeyConfigs,
  type ChannelOptions,
  type Fetch,
} from '@cloister/channel';
import { jwkThumbprint, sha256, type Jwk } from '@cloister/crypto';
import { sealBytes } from '@cloister/sealing';
import { createLog, createMetrics } from '@cloister/service';
import { createApp } from './app.ts';
import type { Events } from './events.ts';
import { rememberIssued } from './issued-evidence.ts';
import { modelInfo, openModelStore, type ModelStore } from './models/model-store.ts';
import { modelIdentities, servedModels } from './models/served-model.ts';
import { createWorkerPool, type WorkerPool } from './models/worker-pool.ts';

export const NAME = 'cxr-pneumonia-cam';
export const VERSION = '1';
const ISSUER = 'https://attest.example';
const CODE = { records: 'a1'.repeat(32), inference: 'c3'.repeat(32) } as const;
const FOLDER = new URL('../../../models/cxr-pneumonia-cam/', import.meta.url);

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
export const now = (): Date => new Date();
export const modelFile = (): Bytes =>
  new Uint8Array(readFileSync(fileURLToPath(new URL('model.onnx', FOLDER))));
export const contractText = (): string =>
  readFileSync(fileURLToPath(new URL('contract.json', FOLDER)), 'utf8');

/** A whole inference service in this process, and the `records` that may call it. */
export interface Scene {
  readonly app: Hono;
  readonly manifest: TrustedManifest;
  readonly pool: WorkerPool;
  readonly records: ServiceIdentity;
  /** Another service of the manifest, with a good token of its own. */
  readonly stranger: ServiceIdentity;
  readonly issuerJwk: Jwk;
  readonly logged: string[];
  readonly peer: (nonce?: Bytes) => Promise<VerifiedPeer>;
  /** A channel as `records` makes it. */
  readonly connect: (changes?: Partial<ChannelOptions>) => Promise<Fetch>;
  /** A channel of somebody who proves nothing. */
  readonly connectUnsigned: () => Promise<Fetch>;
  readonly close: () => Promise<void>;
}

/** What a test changes of the model store before the service opens it. */
export interface SceneChanges {
  readonly model?: (model: Bytes) => Bytes;
  readonly sealed?: (sealed: Bytes) => Bytes;
  readonly contract?: (text: string) => string;
  readonly key?: (key: Bytes) => Bytes | undefined;
  readonly workers?: number;
  /** What the attestation service's `/certs` gives. */
  readonly issuerKeys?: (real: Jwk) => Promise<readonly Jwk[]>;
  /** The clock of the service. */
  readonly now?: () => Date;
  /** Whether a caller's heads are recent; they are unless told. */
  readonly judgeHeads?: HeadJudge;
  /** Whether the lease on the key of the models runs; it does unless told. */
  readonly leaseRuns?: () => boolean;
}

/** A store folder with one sealed model; gives the folder and the key. */
export async function makeStore(
  changes: SceneChanges = {},
): Promise<{ folder: string; key: Bytes; remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-models-'));
  const place = join(folder, NAME, VERSION);
  mkdirSync(place, { recursive: true });
  const key = random(32);
  const model = changes.model?.(modelFile()) ?? modelFile();
  const sealed = await sealBytes(key, model, modelInfo(NAME, VERSION), random);
  writeFileSync(join(place, 'model.sealed'), changes.sealed?.(sealed) ?? sealed);
  writeFileSync(join(place, 'contract.json'), changes.contract?.(contractText()) ?? contractText());
  return { folder, key, remove: () => rmSync(folder, { recursive: true }) };
}

/** The models of the manifest: digests of what is really agreed on. */
export async function agreedModels(): Promise<
  NonNullable<Parameters<typeof openModelStore>[0]['models']>
> {
  const digest = encodeHex(await sha256(modelFile()));
  const contract = encodeHex(await sha256(new TextEncoder().encode(contractText())));
  return { [NAME]: { [VERSION]: { digest, contract } } };
}

export async function openStore(changes: SceneChanges = {}): Promise<ModelStore> {
  const { folder, key, remove } = await makeStore(changes);
  const used = changes.key === undefined ? key : changes.key(key);
  const store = await openModelStore({ folder, models: await agreedModels(), key: used });
  if (store.models.length === 0) remove();
  return store;
}

export async function createScene(changes: SceneChanges = {}): Promise<Scene> {
  const platform = await createSimulatedPlatform({ at: now(), random });
  const issuerKeys = await p256();
  const issuerJwk: Jwk = { ...(await publicJwk(issuerKeys)), kid: 'k1' };
  const manifest = await makeManifest(platform, issuerJwk);
  const identity = (
    service: 'records' | 'inference',
    rest: object = {},
  ): Promise<ServiceIdentity> =>
    createIdentity({
      service,
      manifests: [manifest.id],
      attester: createSimulatedAttester({
        platform,
        mrenclave: CODE[service],
        isvProdId: PRODUCT_IDS[service],
      }),
      tokens: async ({ runtimeData }) => [await attest(issuerKeys, service, runtimeData)],
      ...rest,
    });
  const store = await openStore(changes);
  const logged: string[] = [];
  const pool = await createWorkerPool({
    models: store.models,
    size: changes.workers ?? 1,
    onLost: () => logged.push('lost'),
  });
  const models = servedModels(store, pool);
  const channelKeys = await createChannelKeys({ kem: 'x-wing', keyId: 1 });
  const ohttp = encodeKeyConfigs(channelKeys);
  const inference = await identity('inference', { ohttp, models: modelIdentities(models) });
  const log = createLog<Events>({ service: 'inference', write: (line) => logged.push(line), now });
  const follower = new ManifestFollower({ first: manifest, now });
  const app = createApp({
    follower,
    models,
    pool,
    channelKeys,
    evidence: rememberIssued(inference, { lease: () => manifest.manifest.lease, now }),
    sigKey: inference.sigKey.privateKey,
    simulated: true,
    judgeHeads: changes.judgeHeads ?? (() => ({ ok: true, claims: undefined, checks: [] })),
    lease: {
      name: 'model-key',
      isRunning: () => changes.leaseRuns?.() ?? true,
    },
    fetchIssuerKeys: () => changes.issuerKeys?.(issuerJwk) ?? Promise.resolve([issuerJwk]),
    origins: ['https://portal.example'],
    now: changes.now ?? now,
    newId: () => 'made-here',
    log,
    metrics: createMetrics(),
  });
  const records = await identity('records');
  const peer = async (nonce = random(32)): Promise<VerifiedPeer> => {
    const asked = await app.request('/attestation/evidence', {
      method: 'POST',
      body: JSON.stringify({ nonce: encodeBase64url(nonce) }),
    });
    const envelope = parseEnvelope(parseJson(await asked.text()));
    const trust = { manifest, service: 'inference', nonce, at: now(), issuerKeys: [issuerJwk] };
    const result = await verifyPeer(envelope, { ...trust, requireToken: true });
    assert.ok(result.ok, JSON.stringify(result.checks));
    return result.claims;
  };
  const route = {
    url: 'https://inference.example/.well-known/ohttp-gateway',
    transport: async (request: Request) => app.fetch(request),
    now,
    random,
  };
  return {
    app,
    manifest,
    pool,
    records,
    stranger: inference,
    issuerJwk,
    logged,
    peer,
    connectUnsigned: async () => createChannel({ peer: await peer(), ...route }),
    connect: async (rest = {}) =>
      createChannel({
        peer: await peer(),
        ...route,
        signCall: { key: records.sigKey.privateKey, token: () => records.token() },
        ...rest,
      }),
    close: () => pool.close(),
  };
}

async function makeManifest(platform: SimulatedPlatform, issuer: Jwk): Promise<TrustedManifest> {
  const parties = { hospital: await p256(), diagnostics: await p256() };
  const keys: JsonObject = {};
  for (const [name, pair] of Object.entries(parties)) {
    keys[name] = { keys: [await publicJwk(pair)] };
  }
  const services: JsonObject = {};
  for (const service of ['records', 'inference'] as const) {
    const code = { mrenclave: [CODE[service]], mrsigner: [SIMULATED_MRSIGNER] };
    const product = { isvProdId: PRODUCT_IDS[service], minIsvSvn: 1 };
    services[service] = { identity: { anyOf: [{ tee: 'sgx', ...code, ...product }] } };
  }
  const manifest = parseManifest(
    JSON.stringify({
      apiVersion: 'cloister.dev/v1',
      deployment: 'lamna',
      profile: 'dev',
      serial: 1,
      lease: 900,
      parties: keys,
      quorum: { update: { of: Object.keys(parties), min: 2 } },
      evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
      issuers: [{ iss: ISSUER, keys: [await jwkThumbprint(issuer)], tee: ['simulated'] }],
      services,
      models: await agreedModels(),
    }),
  );
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const [party, pair] of Object.entries(parties)) {
    signatures[party] = await signManifest(id, party, pair.privateKey);
  }
  const result = await verifyManifest(manifest, signatures, { pinned: keysOf(manifest) });
  assert.ok(result.ok, JSON.stringify(result.checks));
  return result.claims;
}

/** What an attestation service would answer about good evidence of this service. */
async function attest(
  issuer: CryptoKeyPair,
  service: 'records' | 'inference',
  runtimeData: Bytes,
): Promise<string> {
  const iat = Math.floor(now().getTime() / 1000);
  const payload = {
    iss: ISSUER,
    iat,
    nbf: iat,
    exp: iat + 28_800,
    'x-ms-attestation-type': 'simulated',
    'x-ms-policy-hash': 'p'.repeat(43),
    'x-ms-runtime': parseJsonObject(decodeUtf8(runtimeData)),
    'x-ms-sgx-is-debuggable': false,
    'x-ms-sgx-mrenclave': CODE[service],
    'x-ms-sgx-mrsigner': SIMULATED_MRSIGNER,
    'x-ms-sgx-product-id': PRODUCT_IDS[service],
    'x-ms-sgx-svn': 1,
    'x-ms-sgx-report-data': encodeHex(await reportDataFor(runtimeData)),
    'x-ms-ver': '1.0',
  };
  const jku = `${ISSUER}/certs`;
  return signToken({ payload, key: issuer.privateKey, kid: 'k1', jku, alg: 'ES256' });
}

function p256(): Promise<CryptoKeyPair> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function publicJwk(pair: CryptoKeyPair): Promise<Jwk> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return { kty, crv, x, y } as Jwk;
}
