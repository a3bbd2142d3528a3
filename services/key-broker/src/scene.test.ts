import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  manifestId,
  parseManifest,
  reportDataFor,
  signManifest,
  signToken,
  verifyManifest,
  type ManifestFile,
  type TrustedManifest,
} from '@cloister/attestation';
import {
  createIdentity,
  createSimulatedAttester,
  openSealedSecrets,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type ServiceIdentity,
  type SimulatedMachine,
} from '@cloister/attester';
import {
  decodeUtf8,
  encodeHex,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { createChannelKeys, type CallSigner } from '@cloister/channel';
import { BrokerClient, type PartyVoice } from '@cloister/client';
import type { Jwk } from '@cloister/crypto';
import { createLog, openSqliteStore, type Store } from '@cloister/service';
import type { Hono } from 'hono';
import { Broker } from './broker.ts';
import { createBrokerIdentity, NO_MANIFEST, type BrokerIdentity } from './broker-identity.ts';
import { build } from './build.ts';
import { collateralOf } from './collateral.ts';
import { startDuties, type Duties } from './duties.ts';
import type { Events } from './events.ts';
import { askReplica } from './recovery/ask-replica.ts';
import { vaultRoutes } from './routes/vault.ts';
import {
  CODE,
  firstDraft,
  ISSUER,
  PARTIES,
  type PartyName,
  type ServiceName,
} from './scene-draft.test.ts';
import { p256, publicJwk, random } from './scene-keys.test.ts';
import { openVaultSigner, type VaultSigner } from './vault/vault-certificate.ts';

export {
  CODE,
  firstDraft,
  identityOf,
  ISSUER,
  PARTIES,
  type PartyName,
  type ServiceName,
} from './scene-draft.test.ts';
export { p256, publicJwk, random, rsa } from './scene-keys.test.ts';

const BROKERS = {
  hospital: 'https://hospital.example',
  diagnostics: 'https://diagnostics.example',
};

/** A broker that runs in this process. */
export interface RunningBroker {
  readonly party: 'hospital' | 'diagnostics';
  readonly broker: Broker;
  readonly app: Hono;
  readonly vault: Hono;
  readonly signer: VaultSigner;
  readonly duties: Duties;
  readonly store: Store;
  readonly identity: BrokerIdentity;
  readonly folder: string;
  readonly logged: string[];
  stop(): Promise<void>;
}

/** What may differ where a broker starts. */
export interface StartOptions {
  /** The folder with its state; that of the party unless told. */
  readonly folder?: string;
  /** Where its sealed key lies and is unsealed; the world's unless told. */
  readonly platform?: SimulatedMachine;
  readonly mrenclave?: string;
  /** Whether others reach it under the party's address. */
  readonly listed?: boolean;
  /** Its store, where it shares that with a replica; its own unless told. */
  readonly store?: Store;
  /** Where a replica answers that may open it. */
  readonly replica?: string;
  /** What its requests to others pass through. */
  readonly transport?: (request: Request) => Promise<Response>;
}

/** Three parties, two brokers, an issuer of tokens, and a clock. */
export class World {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'cloister-broker-'));
  readonly platform: SimulatedMachine;
  readonly parties: Readonly<Record<PartyName, readonly CryptoKeyPair[]>>;
  readonly issuer: CryptoKeyPair;
  readonly issuerJwk: Jwk;
  readonly running = new Map<string, RunningBroker>();
  at: Date = new Date('2026-11-24T12:00:00Z');
  #draft: JsonObject = {};
  #trusted: TrustedManifest | undefined;

  constructor(made: {
    platform: SimulatedMachine;
    parties: Readonly<Record<PartyName, readonly CryptoKeyPair[]>>;
    issuer: CryptoKeyPair;
    issuerJwk: Jwk;
  }) {
    this.platform = made.platform;
    this.parties = made.parties;
    this.issuer = made.issuer;
    this.issuerJwk = made.issuerJwk;
  }

  readonly now = (): Date => this.at;

  pass(seconds: number): void {
    this.at = new Date(this.at.getTime() + seconds * 1000);
  }

  /** How every party reaches the others: by the host's name. */
  readonly transport = async (request: Request): Promise<Response> => {
    const { origin, pathname } = new URL(request.url);
    if (origin === ISSUER && pathname === '/certs')
      return Response.json({ keys: [this.issuerJwk] });
    const [party] = Object.entries(BROKERS).find(([, url]) => url === origin) ?? [];
    const target = party === undefined ? undefined : this.running.get(party);
    if (target === undefined) throw new TypeError('nobody answers');
    return target.app.fetch(request);
  };

  get manifest(): TrustedManifest {
    assert.ok(this.#trusted);
    return this.#trusted;
  }

  get draft(): JsonObject {
    return structuredClone(this.#draft);
  }

  /** Starts a party's broker on its folder. */
  async start(
    party: 'hospital' | 'diagnostics',
    options: StartOptions = {},
  ): Promise<RunningBroker> {
    const { platform = this.platform, mrenclave = CODE['key-broker'], listed = true } = options;
    const folder = options.folder ?? join(this.folder, party);
    mkdirSync(folder, { recursive: true });
    const store = options.store ?? openSqliteStore(join(folder, 'broker.db'));
    const isvProdId = PRODUCT_IDS['key-broker'];
    const sealing = { platform, mrsigner: SIMULATED_MRSIGNER, isvProdId };
    const logged: string[] = [];
    const log = createLog<Events>({
      service: 'key-broker',
      write: (line) => logged.push(line),
      now: this.now,
    });
    let identity: BrokerIdentity | undefined;
    const transport = options.transport ?? this.transport;
    const broker = await Broker.open({
      party,
      store,
      secrets: openSealedSecrets({ folder: join(folder, 'secrets'), ...sealing }),
      random,
      now: this.now,
      transport,
      witness: party === 'hospital' ? BROKERS.diagnostics : BROKERS.hospital,
      onManifest: async ({ id }) => identity?.follow(id),
    });
    const attester = createSimulatedAttester({ platform, mrenclave, isvProdId });
    const channelKeys = await createChannelKeys({ kem: 'x-wing', keyId: 1 });
    identity = await createBrokerIdentity({
      manifestId: broker.trust?.id ?? NO_MANIFEST,
      channelKeys,
      identify: (manifest, ohttp) =>
        createIdentity({ service: 'key-broker', manifests: [manifest], attester, ohttp }),
    });
    const opened = broker.opened;
    const signer =
      opened === undefined
        ? { key: this.issuer.privateKey, chain: [], pem: { key: '', cert: '' } }
        : await openVaultSigner('localhost', {
            store,
            seal: opened.keys.seal,
            random,
            at: this.at,
          });
    const built = build({
      broker,
      store,
      random,
      now: this.now,
      quote: identity,
      channelKeys,
      collateral: collateralOf(platform),
      fetchIssuerKeys: async () => {
        const response = await transport(new Request(`${ISSUER}/certs`));
        return ((await response.json()) as { keys: Jwk[] }).keys;
      },
      issuer: () => BROKERS[party],
      origins: ['https://portal.example'],
      log,
      vault: { signer: () => signer, baseUrl: () => 'https://localhost' },
    });
    assert.ok(built.vault);
    const { replica } = options;
    const me = identity;
    const unseal = async (): Promise<void> => {
      if (replica === undefined) return;
      const source = { identity: () => me.current(), transport, now: this.now, random };
      const code = await askReplica(broker, { url: replica, ...source });
      if (code !== undefined) logged.push(`replica: ${code}`);
    };
    const duties = startDuties(broker, {
      unseal,
      onError: (error) => logged.push(String(error)),
      onPhase: (state) => log('state', { state }),
      timers: false,
    });
    const running: RunningBroker = {
      party,
      broker,
      app: built.app,
      vault: vaultRoutes(built.vault, () => 'https://localhost'),
      signer,
      duties,
      store,
      identity,
      folder,
      logged,
      stop: async () => {
        duties.stop();
        if (this.running.get(party) === running) this.running.delete(party);
        if (options.store === undefined) await store.close();
      },
    };
    if (listed) this.running.set(party, running);
    return running;
  }

  /** A copy of a broker's disk, as a backup has it. */
  backup(party: 'hospital' | 'diagnostics', name: string): string {
    const copy = join(this.folder, name);
    cpSync(join(this.folder, party), copy, { recursive: true });
    return copy;
  }

  /** Signs a manifest by these parties; all of them unless told. */
  async sign(draft: JsonObject, parties: readonly PartyName[] = PARTIES): Promise<ManifestFile> {
    const manifest = parseManifest(JSON.stringify(draft));
    const id = await manifestId(manifest);
    const signatures: Record<string, string> = {};
    for (const party of parties) {
      const [key] = this.parties[party];
      assert.ok(key);
      signatures[party] = await signManifest(id, party, key.privateKey);
    }
    return { manifest, signatures };
  }

  /** What follows the manifest in force, with these members changed. */
  next(changes: JsonObject): JsonObject {
    const { serial } = this.manifest.manifest;
    return { ...this.draft, serial: serial + 1, previous: this.manifest.id, ...changes };
  }

  /** Signs and gives a manifest to both brokers, and follows it. */
  async agree(draft: JsonObject): Promise<TrustedManifest> {
    const file = await this.sign(draft);
    for (const { broker } of this.running.values())
      if (broker.opened !== undefined) await broker.activate(file);
    return this.follow(file, draft);
  }

  /** Takes a manifest as the one in force in this world, without telling anybody. */
  async follow(file: ManifestFile, draft: JsonObject): Promise<TrustedManifest> {
    const verdict = await verifyManifest(file.manifest, file.signatures, {
      pinned: undefined,
      predecessor: this.#trusted,
    });
    assert.ok(verdict.ok, JSON.stringify(verdict.checks));
    this.#draft = draft;
    this.#trusted = verdict.claims;
    return verdict.claims;
  }

  /** Lets all brokers do what is due, twice: each is the other's witness. */
  async tick(): Promise<void> {
    for (let round = 0; round < 2; round += 1)
      for (const { duties } of this.running.values()) await duties.tick();
  }

  /** A service's identity; with another measurement where told. */
  identity(
    service: ServiceName,
    changes: {
      mrenclave?: string;
      platform?: SimulatedMachine;
      manifest?: string;
      tls?: string;
    } = {},
  ): Promise<ServiceIdentity> {
    const { mrenclave = CODE[service], platform = this.platform } = changes;
    return createIdentity({
      service,
      manifests: [changes.manifest ?? this.manifest.id],
      tls: changes.tls,
      attester: createSimulatedAttester({
        platform,
        mrenclave,
        isvProdId: PRODUCT_IDS[service],
      }),
      tokens: async ({ runtimeData }) => [await this.token(service, runtimeData, mrenclave)],
      now: this.now,
    });
  }

  /** What the attestation service would say about evidence of this code. */
  async token(
    service: ServiceName,
    runtimeData: Bytes,
    mrenclave: string = CODE[service],
    changes: JsonObject = {},
  ): Promise<string> {
    const iat = Math.floor(this.at.getTime() / 1000);
    const payload = {
      iss: ISSUER,
      iat,
      nbf: iat,
      exp: iat + 28_800,
      'x-ms-attestation-type': 'simulated',
      'x-ms-policy-hash': 'p'.repeat(43),
      'x-ms-runtime': parseJsonObject(decodeUtf8(runtimeData)),
      'x-ms-sgx-is-debuggable': false,
      'x-ms-sgx-mrenclave': mrenclave,
      'x-ms-sgx-mrsigner': SIMULATED_MRSIGNER,
      'x-ms-sgx-product-id': PRODUCT_IDS[service],
      'x-ms-sgx-svn': 1,
      'x-ms-sgx-report-data': encodeHex(await reportDataFor(runtimeData)),
      'x-ms-ver': '1.0',
      ...changes,
    };
    const jku = `${ISSUER}/certs`;
    return signToken({ payload, key: this.issuer.privateKey, kid: 'k1', jku, alg: 'ES256' });
  }

  /** A client of a party's broker, as a service has it. */
  client(party: 'hospital' | 'diagnostics', signCall?: CallSigner): BrokerClient {
    return new BrokerClient({
      baseUrl: BROKERS[party],
      manifest: this.manifest,
      transport: this.transport,
      now: this.now,
      random,
      signCall,
    });
  }

  /** A party with so many of its keys. */
  voice(party: PartyName, keys?: number): PartyVoice {
    const all = this.parties[party].map(({ privateKey }) => privateKey);
    return { party, keys: all.slice(0, keys ?? all.length) };
  }

  async close(): Promise<void> {
    for (const running of this.running.values()) await running.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A world whose brokers are not agreed on yet. */
export async function createEmptyWorld(hospitalKeys = 1): Promise<World> {
  const [issuer, hospital, platform, diagnostics] = await Promise.all([
    p256(),
    Promise.all(Array.from({ length: hospitalKeys }, p256)),
    p256(),
    p256(),
  ]);
  const folder = mkdtempSync(join(tmpdir(), 'cloister-platform-'));
  const machine = await openSimulatedPlatform(folder, () => new Date('2026-11-01T00:00:00Z'));
  rmSync(folder, { recursive: true });
  return new World({
    platform: machine,
    parties: { hospital, platform: [platform], diagnostics: [diagnostics] },
    issuer,
    issuerJwk: { ...(await publicJwk(issuer)), kid: 'k1' },
  });
}

/** Two brokers that serve, and witness each other. */
export async function createWorld(changes: JsonObject = {}, hospitalKeys = 1): Promise<World> {
  const world = await createEmptyWorld(hospitalKeys);
  await world.start('hospital');
  await world.start('diagnostics');
  await world.agree(await firstDraft(world, changes));
  await world.tick();
  for (const { broker } of world.running.values()) assert.equal(broker.phase, 'active');
  return world;
}
