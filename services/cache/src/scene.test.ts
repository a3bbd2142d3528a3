import assert from 'node:assert/strict';
import {
  encodeRuntimeData,
  HeadKeeper,
  headHash,
  keysOf,
  manifestId,
  parseManifest,
  reportDataFor,
  signHead,
  signManifest,
  signToken,
  verifyManifest,
  type RuntimeData,
  type TrustedManifest,
} from '@cloister/attestation';
import { createTlsKey, type TlsKey } from '@cloister/attester';
import { encodeHex, type Bytes, type JsonObject } from '@cloister/bytes';
import { jwkThumbprint, type Jwk } from '@cloister/crypto';
import { rolesOf } from './trust/roles.ts';
import { createGateStats, type CountingStats } from './counting-stats.test.ts';
import { createGate, type Gate } from './gate/gate.ts';
import { LIMITS, type GateLimits } from './gate/limits.ts';
import { listenTls, type Listening } from './listen-tls.ts';
import { createAuthenticate, type GateTrust } from './trust/authenticate.ts';
import { judgeByFeed, type NamedHeadJudge } from './trust/judge-heads.ts';
import { openUpstream, type Upstream } from './upstream/upstream.ts';
import type { RedisServer } from './redis-server.test.ts';

export const ISSUER = 'https://attest.example';
export const MRENCLAVE = 'a1'.repeat(32);
export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
const MRSIGNER = 'b2'.repeat(32);

export const ROLES = {
  records: '~records:* &records:* +@read +@write +@pubsub +@transaction +@blocking',
  reader: '~records:public:* +@read',
};

export interface Scene {
  readonly parties: Readonly<Record<string, CryptoKeyPair>>;
  readonly issuerKeys: CryptoKeyPair;
  readonly issuerJwk: Jwk;
  readonly sig: Jwk;
  readonly enc: Jwk;
  readonly draft: JsonObject;
  readonly manifest: TrustedManifest;
  /** With what the hospital's broker signs. */
  readonly broker: CryptoKeyPair;
  /** The head that tokens name unless told: of the time when the scene was made. */
  readonly head: string;
  /** The caller's TLS key. */
  readonly tls: TlsKey;
}

async function makeP256(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
}

async function publicJwk(keys: CryptoKeyPair, rest: object = {}): Promise<Jwk> {
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
    n = '',
    e = '',
  } = await crypto.subtle.exportKey('jwk', keys.publicKey);
  const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
  return { ...members, ...rest };
}

export const makeTlsKey = (service: string): Promise<TlsKey> =>
  createTlsKey({ service, now: () => new Date(), random });

/** Signs a manifest by all parties and verifies it, as its relying parties do. */
export async function trust(
  parties: Scene['parties'],
  draft: JsonObject,
  predecessor?: TrustedManifest,
): Promise<{ readonly manifest: TrustedManifest; readonly file: string }> {
  const manifest = parseManifest(JSON.stringify(draft));
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const [party, keys] of Object.entries(parties))
    signatures[party] = await signManifest(id, party, keys.privateKey);
  const result = await verifyManifest(manifest, signatures, {
    pinned: keysOf(manifest),
    predecessor,
  });
  assert.ok(result.ok, result.ok ? '' : result.code);
  return { manifest: result.claims, file: JSON.stringify({ manifest: draft, signatures }) };
}

export async function createScene(roles: Readonly<Record<string, string>> = ROLES): Promise<Scene> {
  const [hospital, platform, issuerKeys, sig, broker] = await Promise.all([
    makeP256(),
    makeP256(),
    makeP256(),
    makeP256(),
    makeP256(),
  ]);
  const rsa = {
    name: 'RSA-OAEP',
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: 'SHA-256',
  };
  const enc = await crypto.subtle.generateKey(rsa, true, ['encrypt', 'decrypt']);
  const parties = { hospital, platform };
  const issuerJwk = await publicJwk(issuerKeys, { kid: 'k1' });
  const identity = {
    anyOf: [
      { tee: 'sgx', mrenclave: [MRENCLAVE], mrsigner: [MRSIGNER], isvProdId: 101, minIsvSvn: 1 },
    ],
  };
  const draft = {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties: {
      hospital: {
        keys: [await publicJwk(hospital)],
        broker: { sig: await publicJwk(broker) },
      },
      platform: { keys: [await publicJwk(platform)] },
    },
    quorum: { update: { of: Object.keys(parties), min: 2 } },
    evidence: { roots: { simulated: ['00'.repeat(32)] }, platforms: 'any' },
    issuers: [{ iss: ISSUER, keys: [await jwkThumbprint(issuerJwk)], tee: ['simulated'] }],
    services: {
      records: { identity },
      reader: { identity },
      inference: { identity },
      cache: { identity },
    },
    cache: { roles },
  } as unknown as JsonObject;
  const { manifest } = await trust(parties, draft);
  return {
    parties,
    issuerKeys,
    issuerJwk,
    sig: await publicJwk(sig),
    enc: await publicJwk(enc),
    draft,
    manifest,
    broker,
    head: await makeHead({ broker, manifest }),
    tls: await makeTlsKey('records'),
  };
}

/** What a test changes of a head of the hospital's broker. */
export interface HeadChanges {
  readonly manifest?: TrustedManifest;
  /** Seconds since 1970. */
  readonly time?: number;
  readonly logSize?: number;
  readonly key?: CryptoKey;
}

/** A head of the hospital's broker. */
export async function makeHead(
  scene: Pick<Scene, 'broker' | 'manifest'>,
  changes: HeadChanges = {},
): Promise<string> {
  const { id, manifest } = changes.manifest ?? scene.manifest;
  const { time = Math.floor(Date.now() / 1000), logSize = 4 } = changes;
  const { deployment, serial } = manifest;
  const logRoot = encodeHex(new Uint8Array(32).fill(logSize));
  return signHead(
    { deployment, party: 'hospital', manifest: id, serial, time, logSize, logRoot },
    changes.key ?? scene.broker.privateKey,
  );
}

/** Judges by some heads, as the gate does by those that it follows. */
export async function judgeBy(
  manifest: TrustedManifest,
  heads: readonly string[],
  now: () => number,
): Promise<NamedHeadJudge> {
  const keeper = new HeadKeeper({ manifest, ownParty: 'hospital', now: () => new Date(now()) });
  for (const head of heads) {
    const verdict = await keeper.add(head);
    assert.ok(verdict.ok, verdict.ok ? '' : verdict.code);
  }
  const refresh = () => Promise.resolve(keeper.check());
  return judgeByFeed({ keeper, refresh, next: [] });
}

/** What a test changes of the token that would be good. */
export interface TokenChanges {
  readonly service?: string;
  readonly manifests?: readonly string[];
  readonly tls?: string | undefined;
  /** Hashes of the heads that it names. */
  readonly heads?: readonly string[];
  readonly iat?: number;
  readonly exp?: number;
  readonly payload?: (payload: JsonObject) => JsonObject;
  readonly key?: CryptoKey;
}

export async function makeToken(scene: Scene, changes: TokenChanges = {}): Promise<string> {
  const tls = 'tls' in changes ? changes.tls : scene.tls.spkiSha256;
  const data: RuntimeData = {
    cloister: 1,
    service: changes.service ?? 'records',
    manifests: changes.manifests ?? [scene.manifest.id],
    keys: [
      { ...scene.sig, use: 'sig' },
      { ...scene.enc, use: 'enc' },
    ],
    ...(tls === undefined ? {} : { tls }),
    heads: changes.heads ?? [await headHash(scene.head)],
  };
  const iat = changes.iat ?? Math.floor(Date.now() / 1000) - 5;
  const payload = {
    iss: ISSUER,
    iat,
    nbf: iat,
    exp: changes.exp ?? iat + 3600,
    'x-ms-attestation-type': 'simulated',
    'x-ms-policy-hash': 'p'.repeat(43),
    'x-ms-runtime': JSON.parse(JSON.stringify(data)) as JsonObject,
    'x-ms-sgx-is-debuggable': false,
    'x-ms-sgx-mrenclave': MRENCLAVE,
    'x-ms-sgx-mrsigner': MRSIGNER,
    'x-ms-sgx-product-id': 101,
    'x-ms-sgx-svn': 1,
    'x-ms-sgx-report-data': encodeHex(await reportDataFor(encodeRuntimeData(data))),
    'x-ms-ver': '1.0',
  };
  return signToken({
    payload: changes.payload?.(payload) ?? payload,
    key: changes.key ?? scene.issuerKeys.privateKey,
    kid: 'k1',
    jku: `${ISSUER}/certs`,
    alg: 'ES256',
  });
}

/** A whole gate before a real Redis: TLS, tokens, roles. The clock can be set forward. */
export interface RunningGate {
  readonly gate: Gate;
  readonly stats: CountingStats;
  readonly listening: Listening;
  readonly upstream: Upstream;
  readonly serverTls: TlsKey;
  /** Milliseconds that the gate's clock is ahead. */
  ahead: number;
  trust: GateTrust;
  judgeHeads: NamedHeadJudge;
  stop(): Promise<void>;
}

export async function startGate(
  scene: Scene,
  redis: RedisServer,
  limits: Partial<GateLimits> = {},
): Promise<RunningGate> {
  const roles = rolesOf(scene.manifest);
  const upstream = await openUpstream(redis.address, [...roles.values()]);
  const stats = createGateStats();
  const serverTls = await makeTlsKey('cache');
  const trusted: GateTrust = { agreement: { trust: scene.manifest }, roles };
  const now = (): number => Date.now() + running.ahead;
  const judgeHeads = await judgeBy(scene.manifest, [scene.head], () => Date.now());
  const running = { ahead: 0, trust: trusted, judgeHeads };
  const gate = createGate({
    limits: { ...LIMITS, ...limits },
    now,
    authenticate: createAuthenticate({
      trust: () => running.trust,
      judgeHeads: (hashes) => running.judgeHeads(hashes),
      fetchIssuerKeys: () => Promise.resolve([scene.issuerJwk]),
      now,
    }),
    openUpstream: (role, protocol) => upstream.open(role, protocol),
    version: upstream.version,
    stats,
    onFault: () => undefined,
  });
  const listening = await listenTls({
    gate,
    tls: serverTls,
    host: '127.0.0.1',
    port: 0,
    maxConnections: 100,
    onHandshakeFailure: (code) => stats.login(code),
  });
  return Object.assign(running, {
    gate,
    stats,
    listening,
    upstream,
    serverTls,
    stop: async () => {
      await listening.close();
      await upstream.close();
    },
  });
}
