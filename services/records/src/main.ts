import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createIdentity,
  createSimulatedAttester,
  createTlsKey,
  type IdentityOptions,
  openSealedSecrets,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
} from '@cloister/attester';
import { createGateway } from '@cloister/channel';
import { createAttestationClient, ManifestFollower } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import {
  ConfigError,
  createHttpClient,
  createLog,
  createMemoryCache,
  createMetrics,
  createServiceApp,
  errorCode,
  errorPlace,
  loadConfig,
  loadTrust,
  nodeChannelPrimitives,
  opaqueId,
  routeTemplate,
  serve,
  silenceExpectedWarnings,
  untilSignal,
} from '@cloister/service';
import { createApp } from './app.ts';
import { startFanOut } from './cache/fan-out.ts';
import { type ChannelIdentity, createChannelIdentity } from './channel-identity.ts';
import { configSchema } from './config.ts';
import type { RecordsEvents } from './events.ts';
import { createNetworkProviders } from './jobs/network-providers.ts';
import { createJobWorker } from './jobs/worker.ts';
import { measureOwnCode } from './measure-own-code.ts';
import { newId } from './new-id.ts';
import { openData } from './open-data.ts';
import { ensureOwnResources } from './own-resources.ts';
import { loadAccounts } from './sign-in/load-accounts.ts';
import { Sessions } from './sign-in/sessions.ts';
import { recordRestore } from './restore/record-restore.ts';
import { ANCHOR_NAME, readRestoreOrder } from './restore/restore-order.ts';
import { startFailure } from './start-failure.ts';
import { anchorWithin } from './store/anchor-keeper.ts';
import { createBrokerAnchor } from './store/broker-anchor.ts';
import { createSealedAnchor } from './store/head-anchor.ts';
import { openGateCache } from './trust/open-gate-cache.ts';
import { accessTokenFile } from './trust/access-token-file.ts';
import { keepTenantKeys } from './trust/keep-tenant-keys.ts';
import { openReleases, OWN_PARTY, SERVICE } from './trust/open-releases.ts';
import { openVaultReleases } from './trust/open-vault-releases.ts';
import { tenantKeysOf } from './trust/released-keys.ts';

const VERSION = '0.1.0';
const RENEWAL_MS = 5 * 60_000;
/** A token names the heads of its time: it is replaced so often, to be recent wherever it is shown. */
const TOKENS_PER_LEASE = 3;

const write = (line: string): void => void process.stdout.write(line);
const hostNow = (): Date => new Date();
const readText = (path: string): Promise<string> => readFile(path, 'utf8');
const random: Random = (length) => new Uint8Array(randomBytes(length));
const log = createLog<RecordsEvents>({ service: SERVICE, write, now: hostNow });
const primitives = nodeChannelPrimitives();
silenceExpectedWarnings(process);

/** For the words with which a start ends. */
let manifestId: string | undefined;

try {
  await run();
} catch (error) {
  const { code, reason } = startFailure(error, manifestId);
  process.stderr.write(`records does not start: ${reason}\n`);
  process.exitCode = code;
}

async function run(): Promise<void> {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: readText,
  });
  const data = config.data ?? missing('data');
  const attestation = config.attestation ?? missing('attestation');
  const providers = config.inference ?? missing('inference');
  const manifestFile = config.manifest ?? missing('manifest');
  const trust = await loadTrust({ manifestFile, readFile: readText, ownParty: OWN_PARTY });
  const { manifest } = trust;
  const follower = new ManifestFollower({ first: trust, ownParty: OWN_PARTY, now: hostNow });
  manifestId = trust.id;
  follower.onChange(({ trust: { id } }) => {
    manifestId = id;
  });
  const order =
    config.restore === undefined
      ? undefined
      : await readRestoreOrder(await readText(config.restore), trust);
  const accounts = await loadAccounts(config.accounts, manifest.profile, readText);
  const platform = await openSimulatedPlatform(config.platform ?? missing('platform'));
  const mrenclave = await measureOwnCode(SERVICE);
  const isvProdId = PRODUCT_IDS[SERVICE];
  const attester = createSimulatedAttester({ platform, mrenclave, isvProdId });
  const simulated = attester.format === 'simulated-sgx-quote';
  // One or the other, as the manifest says: it is another deployment after that changed.
  const hasVault = manifest.parties[OWN_PARTY]?.vault !== undefined;
  const keys = hasVault ? 'vault' : 'broker';
  log('starting', { simulated, manifest: opaqueId(trust.id), keys });

  const brokers = config.brokers ?? (hasVault ? {} : missing('brokers'));
  const cacheUrls = config.cache === undefined ? [] : [config.cache];
  const urls = [attestation, ...providers, ...Object.values(brokers), ...cacheUrls];
  const origins = urls.map((url) => new URL(url).origin);
  const transport = createHttpClient({ origins: [...new Set(origins)] });
  const issuer = createAttestationClient({ baseUrl: attestation, transport });
  // Evidence without a channel's key, which only brokers accept: what they release makes the rest.
  const manifests = (): readonly string[] => follower.ids;
  const tokens: IdentityOptions['tokens'] = async ({ evidence: quote, runtimeData }) => [
    await issuer.attest('Simulated', { quote, runtimeData }),
  ];
  const onTokenFailure = (error: unknown): void => {
    log('token_failed', { code: errorCode(error) });
  };
  let channel: ChannelIdentity | undefined;
  let takeTenantKeys: (() => Promise<void>) | undefined;
  const source = {
    follower,
    readManifest: () => readText(manifestFile),
    brokers,
    transport,
    now: hostNow,
    random,
    primitives,
    log,
    onChannelKeys: async () => channel?.renew(),
    onTenantKeys: async () => takeTenantKeys?.(),
  };
  // The vault's answers are signed: TLS to it only keeps the access token from being read on the way.
  const vaultTransport = createHttpClient({ allowTls12: true, timeoutMs: 20_000 });
  const released = hasVault
    ? await openVaultReleases({
        ...source,
        identify: () =>
          createIdentity({ service: SERVICE, manifests, attester, tokens, onTokenFailure }),
        vaultTransport,
        authorize: accessTokenFile(config.vaultToken ?? missing('vault-token'), readText),
      })
    : await openReleases({
        ...source,
        identity: await createIdentity({ service: SERVICE, manifests, attester }),
      });
  const { now } = released;
  const tls =
    config.cache === undefined ? undefined : await createTlsKey({ service: SERVICE, now, random });
  channel = await createChannelIdentity({
    source: released.channelKeys,
    now,
    identify: (ohttp) =>
      createIdentity({
        service: SERVICE,
        manifests,
        attester,
        ohttp,
        heads: released.heads,
        tls: tls?.spkiSha256,
        tokenSeconds: manifest.lease / TOKENS_PER_LEASE,
        tokens,
        onTokenFailure,
        now,
      }),
  });
  const shownChannel = channel;
  const signCall = {
    get key() {
      return shownChannel.identity.sigKey.privateKey;
    },
    token: () => shownChannel.identity.token(),
  };

  // A hospital without a broker of ours has no counters: then the anchor is a sealed file of the host's.
  const anchor =
    manifest.counters?.[ANCHOR_NAME] === undefined
      ? createSealedAnchor(
          openSealedSecrets({
            folder: config.secrets ?? join(data, 'secrets'),
            platform,
            mrsigner: SIMULATED_MRSIGNER,
            isvProdId,
          }),
        )
      : createBrokerAnchor({ client: released.counterKeeper(ANCHOR_NAME, signCall) });
  const sharedCache = openGateCache({
    url: config.cache,
    port: config.cachePort,
    tls,
    follower,
    judgeHeads: released.judgeHeads,
    attestation,
    token: signCall.token,
    secret: released.tenantSecret,
    transport,
    now,
    random,
    log,
  });
  let tampered = false;
  const onTampered = (): void => {
    tampered = true;
  };
  const opening = performance.now();
  const { ledger, vault, ...opened } = await openData({
    ...config,
    folder: data,
    tenant: manifest.deployment,
    tenantKeys: await tenantKeysOf(released.tenantSecret(), now()),
    renewKeys: async () => {
      await released.renewTenantKeys();
      return tenantKeysOf(released.tenantSecret(), now());
    },
    anchor,
    order,
    anchorWithin: anchorWithin(manifest.services[SERVICE]?.config?.auditAnchor),
    random,
    now,
    onFailure: (error) => log('storage_failed', { code: errorCode(error) }),
    onTampered: (error) => {
      onTampered();
      log('log_replaced', { code: errorCode(error), place: errorPlace(error) });
    },
  });
  log('log_opened', {
    entries: ledger.head.position,
    ms: Math.round(performance.now() - opening),
  });
  const own = await ensureOwnResources(ledger, accounts, random);
  if (ledger.isRestored && order !== undefined) {
    await recordRestore({ ledger, random, now, device: own.device }, order);
    log('log_restored', { entries: ledger.head.position });
  }

  const renewal = setInterval(() => {
    shownChannel.renew().catch((error: unknown) => log('token_failed', { code: errorCode(error) }));
  }, RENEWAL_MS).unref();

  const { destroyTenantKey } = released;
  const tenantKeys = keepTenantKeys({
    ledger,
    device: own.device,
    random,
    secret: released.tenantSecret,
    lease: () => follower.trust.manifest.lease,
    destroy: destroyTenantKey === undefined ? undefined : (old) => destroyTenantKey(old, signCall),
    now,
    log,
  });
  takeTenantKeys = async () => {
    await tenantKeys.take();
    await sharedCache?.rekey();
  };

  const cache = sharedCache?.cache ?? createMemoryCache({ now });
  const shared = config.postgres !== undefined;
  const replica = newId(random);
  const stopFanOut = shared
    ? await startFanOut({
        ledger,
        cache,
        replica,
        onFailure: (error) => log('cache_failed', { code: errorCode(error) }),
      })
    : undefined;

  const reviewers = accounts
    .filter(({ role }) => role === 'radiologist')
    .flatMap(({ user }) => own.practitioners.get(user) ?? []);
  const core = { ledger, random, now, device: own.device };
  const agreement = { current: () => follower.agreement, ids: () => follower.ids };
  const worker = createJobWorker({
    ...core,
    agreement,
    replica,
    shared,
    vault,
    reviewers,
    log,
    onTampered,
    providers: createNetworkProviders({
      urls: providers,
      agreement,
      attestation,
      judgeHeads: released.judgeHeads,
      transport,
      primitives,
      signCall,
      now,
      random,
    }),
  });
  const stopping = new AbortController();
  const inner = createApp({
    ...core,
    cache,
    vault,
    accounts,
    practitioners: own.practitioners,
    sessions: new Sessions({ ledger, accounts, random, now }),
    cursorKey: await ledger.ownKey('cursor'),
    onTask: worker.add,
    stopping: stopping.signal,
    version: VERSION,
    log,
    onTampered,
  });
  const fault = (error: unknown, where: string): void => {
    const [code, place] = [errorCode(error), errorPlace(error)];
    log('fault', { route: routeTemplate(where), code, place });
  };
  const gateway = createGateway({
    keys: shownChannel.keys,
    now,
    wait: delay,
    fetch: (request, { encapsulation }) => inner.fetch(request, { encapsulation }),
    onError: (error) => fault(error, 'gateway'),
  });
  const metrics = createMetrics();
  const requests = metrics.counter('records_requests_total', 'Requests of the plain surface.');
  const app = createServiceApp({
    service: SERVICE,
    evidence: shownChannel,
    gateway: released.guard(gateway),
    cors: { origins: config.portalOrigin },
    health: async () => {
      const parts = {
        store: !tampered,
        keys: released.isServing(),
        ...(sharedCache === undefined ? {} : { cache: await sharedCache.isReachable() }),
      };
      // Without the shared cache all works, only slower.
      return { ready: parts.store && parts.keys, parts };
    },
    observe: ({ route, status }) => requests({ route: routeTemplate(route), status }),
    report: fault,
  });
  const serving = await serve({ app, port: config.port, host: config.host });
  const metricsServing =
    config.metricsPort === undefined
      ? undefined
      : await serve({ app: metrics.app, port: config.metricsPort, host: config.host });
  await worker.start();
  log('ready', { port: Number(new URL(serving.url).port) });
  write(`listening on ${serving.url}\n`);

  const signal = await untilSignal(process);
  log('stopping', { signal });
  stopping.abort();
  clearInterval(renewal);
  tenantKeys.stop();
  released.close();
  await Promise.all([serving.close(), metricsServing?.close(), worker.close()]);
  await stopFanOut?.();
  await cache.close();
  await opened.close();
  transport.close();
  vaultTransport.close();
}

function missing(setting: string): never {
  throw new ConfigError(`${setting}: needed`);
}
