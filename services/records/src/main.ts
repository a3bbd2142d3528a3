import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createSimulatedAttester,
  createTlsKey,
  measureOwnService,
  openSimulatedPlatform,
  PRODUCT_IDS,
} from '@cloister/attester';
import type { Random } from '@cloister/sealing';
import {
  createLog,
  createMemoryCache,
  errorCode,
  loadConfig,
  needed,
  nodeChannelPrimitives,
  opaqueId,
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
import { newId } from './new-id.ts';
import { Sessions } from './sign-in/sessions.ts';
import { createIdentities } from './start/create-identities.ts';
import { openAgreement } from './start/open-agreement.ts';
import { openKeys } from './start/open-keys.ts';
import { openNetwork } from './start/open-network.ts';
import { openRecords } from './start/open-records.ts';
import { serveSurface } from './start/serve-surface.ts';
import { startFailure } from './start/start-failure.ts';
import { openAnchor } from './store/open-anchor.ts';
import { keepTenantKeys } from './trust/keep-tenant-keys.ts';
import { openGateCache } from './trust/open-gate-cache.ts';
import { SERVICE } from './trust/open-releases.ts';

const VERSION = '0.1.0';
const RENEWAL_MS = 5 * 60_000;

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
  const data = needed(config.data, 'data');

  // What was agreed on, and who this process is by it.
  const agreement = await openAgreement(config, { readText, now: hostNow });
  const { first, follower, accounts, hasVault } = agreement;
  manifestId = first.id;
  follower.onChange(({ trust: { id } }) => {
    manifestId = id;
  });
  const platform = await openSimulatedPlatform(needed(config.platform, 'platform'));
  const mrenclave = await measureOwnService(import.meta.url, SERVICE);
  const isvProdId = PRODUCT_IDS[SERVICE];
  const attester = createSimulatedAttester({ platform, mrenclave, isvProdId });
  log('starting', {
    simulated: attester.format === 'simulated-sgx-quote',
    manifest: opaqueId(first.id),
    keys: hasVault ? 'vault' : 'broker',
  });
  const network = openNetwork(config, agreement);
  const { transport, attestation } = network;
  const identities = createIdentities({
    attester,
    follower,
    issuer: network.issuer,
    lease: first.manifest.lease,
    onTokenFailure: (error) => log('token_failed', { code: errorCode(error) }),
  });

  // The hospital's keys, and the time; then the channel, whose keys are among them.
  let channel: ChannelIdentity | undefined;
  let takeTenantKeys: (() => Promise<void>) | undefined;
  const keys = await openKeys(config, {
    agreement,
    network,
    identities,
    readText,
    now: hostNow,
    random,
    primitives,
    log,
    onChannelKeys: async () => channel?.renew(),
    onTenantKeys: async () => takeTenantKeys?.(),
  });
  const { now, judgeHeads, heads, destroyTenantKey } = keys;
  const tls =
    config.cache === undefined ? undefined : await createTlsKey({ service: SERVICE, now, random });
  const shownChannel = await createChannelIdentity({
    source: keys.channelKeys,
    now,
    identify: (ohttp) => identities.forCallers({ ohttp, heads, tls, now }),
  });
  channel = shownChannel;
  const renewal = setInterval(() => {
    shownChannel.renew().catch((error: unknown) => log('token_failed', { code: errorCode(error) }));
  }, RENEWAL_MS).unref();
  const signCall = {
    get key() {
      return shownChannel.identity.sigKey.privateKey;
    },
    token: () => shownChannel.identity.token(),
  };

  // The records, and what goes along with them.
  let tampered = false;
  const onTampered = (): void => {
    tampered = true;
  };
  const records = await openRecords(config, {
    data,
    agreement,
    keys,
    anchor: openAnchor({
      manifest: first.manifest,
      counterKeeper: (name) => keys.counterKeeper(name, signCall),
      secrets: config.secrets,
      data,
      platform,
    }),
    random,
    now,
    log,
    onTampered,
  });
  const { ledger, vault, own } = records;
  const sharedCache = openGateCache({
    url: config.cache,
    port: config.cachePort,
    tls,
    follower,
    judgeHeads,
    attestation,
    token: signCall.token,
    secret: keys.tenantSecret,
    transport,
    now,
    random,
    log,
  });
  const cache = sharedCache?.cache ?? createMemoryCache({ now });
  const tenantKeys = keepTenantKeys({
    ledger,
    device: own.device,
    random,
    secret: keys.tenantSecret,
    lease: () => follower.trust.manifest.lease,
    destroy: destroyTenantKey === undefined ? undefined : (old) => destroyTenantKey(old, signCall),
    now,
    log,
  });
  takeTenantKeys = async () => {
    await tenantKeys.take();
    await sharedCache?.rekey();
  };
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

  // Who works on them: the AI jobs, and whoever calls.
  const core = { ledger, vault, random, now, device: own.device, log, onTampered };
  const agreed = { current: () => follower.agreement, ids: () => follower.ids };
  const worker = createJobWorker({
    ...core,
    agreement: agreed,
    replica,
    shared,
    reviewers: accounts
      .filter(({ role }) => role === 'radiologist')
      .flatMap(({ user }) => own.practitioners.get(user) ?? []),
    providers: createNetworkProviders({
      urls: network.providers,
      agreement: agreed,
      attestation,
      judgeHeads,
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
    accounts,
    practitioners: own.practitioners,
    sessions: new Sessions({ ledger, accounts, random, now }),
    cursorKey: await ledger.ownKey('cursor'),
    onTask: worker.add,
    stopping: stopping.signal,
    version: VERSION,
  });
  const surface = await serveSurface(config, {
    inner,
    channel: shownChannel,
    guard: (gateway) => keys.guard(gateway),
    health: async () => {
      const parts = {
        store: !tampered,
        keys: keys.isServing(),
        ...(sharedCache === undefined ? {} : { cache: await sharedCache.isReachable() }),
      };
      // Without the shared cache all works, only slower.
      return { ready: parts.store && parts.keys, parts };
    },
    now,
    log,
  });
  await worker.start();
  log('ready', { port: Number(new URL(surface.url).port) });
  write(`listening on ${surface.url}\n`);

  const signal = await untilSignal(process);
  log('stopping', { signal });
  stopping.abort();
  clearInterval(renewal);
  tenantKeys.stop();
  keys.close();
  await Promise.all([surface.close(), worker.close()]);
  await stopFanOut?.();
  await cache.close();
  await records.close();
  network.close();
}
