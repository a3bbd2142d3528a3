import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createIdentity,
  createSimulatedAttester,
  measureOwnService,
  openSealedSecrets,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
} from '@cloister/attester';
import { createChannelKeys } from '@cloister/channel';
import { createAttestationClient } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import {
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  errorPlace,
  loadConfig,
  needed,
  nodeChannelPrimitives,
  opaqueId,
  openStore,
  routeTemplate,
  runMain,
  serve,
  serveMetrics,
  silenceExpectedWarnings,
  untilSignal,
  type Serving,
  type Store,
} from '@cloister/service';
import { Broker } from './broker.ts';
import { createBrokerIdentity, NO_MANIFEST, type BrokerIdentity } from './broker-identity.ts';
import { build } from './build.ts';
import { collateralOf } from './collateral.ts';
import { configSchema, type Config } from './config.ts';
import { startDuties } from './duties.ts';
import type { Events } from './events.ts';
import { askReplica } from './recovery/ask-replica.ts';
import { vaultRoutes } from './routes/vault.ts';
import { serveVault } from './serve-vault.ts';
import { readManifestFiles, takeManifests } from './trust/manifest-files.ts';
import { openVaultSigner } from './vault/vault-certificate.ts';

const SERVICE = 'key-broker';
const write = (line: string): void => void process.stdout.write(line);
const now = (): Date => new Date();
const random: Random = (length) => new Uint8Array(randomBytes(length));
const log = createLog<Events>({ service: SERVICE, write, now });
silenceExpectedWarnings(process);

await runMain(process, async () => {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: (path) => readFile(path, 'utf8'),
  });
  const data = needed(config.data, 'data');
  await mkdir(data, { recursive: true, mode: 0o700 });
  const store = await openStore(config.store ?? join(data, 'broker.db'), {
    schema: `broker_${config.party.replaceAll('-', '_')}`.slice(0, 40),
  });
  try {
    await run(config, data, store);
  } finally {
    await store.close();
  }
});

async function run(config: Config, data: string, store: Store): Promise<void> {
  const platform = await openSimulatedPlatform(needed(config.platform, 'platform'));
  const isvProdId = PRODUCT_IDS[SERVICE];
  const folder = join(data, 'secrets');
  const sealing = { folder, platform, mrsigner: SIMULATED_MRSIGNER, isvProdId };
  const transport = createHttpClient({
    origins: [config.witness, config.attestation, config.replica].flatMap((url) =>
      url === undefined ? [] : [new URL(url).origin],
    ),
    timeoutMs: 10_000,
  });
  let identity: BrokerIdentity | undefined;
  const broker = await Broker.open({
    party: config.party,
    store,
    secrets: openSealedSecrets(sealing),
    random,
    now,
    transport,
    witness: config.witness,
    onManifest: async ({ id, manifest }) => {
      await identity?.follow(id);
      log('manifest_active', { manifest: opaqueId(id), serial: manifest.serial });
    },
  });
  if (config.prepare) {
    const { jwk, thumbprint } = broker.requireOpen().keys;
    write(`${JSON.stringify({ party: broker.party, brokerKey: jwk, thumbprint })}\n`);
    transport.close();
    return;
  }
  const mrenclave = await measureOwnService(import.meta.url, SERVICE);
  const attester = createSimulatedAttester({ platform, mrenclave, isvProdId });
  log('starting', { simulated: attester.format === 'simulated-sgx-quote' });
  await takeManifests(broker, await readManifestFiles(config), (error) =>
    log('manifest_refused', { code: errorCode(error) }),
  );
  const channelKeys = await createChannelKeys({
    kem: 'x-wing',
    keyId: 1,
    primitives: nodeChannelPrimitives(),
  });
  identity = await createBrokerIdentity({
    manifestId: broker.trust?.id ?? NO_MANIFEST,
    channelKeys,
    identify: (manifest, ohttp) =>
      createIdentity({ service: SERVICE, manifests: [manifest], attester, ohttp }),
  });

  let publicUrl = config.publicUrl ?? '';
  let vaultUrl = `https://${config.vaultHost}`;
  // A sealed broker has no vault: it is there after the next start.
  const signer =
    config.vaultPort === undefined || broker.opened === undefined
      ? undefined
      : await openVaultSigner(config.vaultHost, {
          store,
          seal: broker.opened.keys.seal,
          random,
          at: now(),
        });
  const { attestation } = config;
  const issuer =
    attestation === undefined
      ? undefined
      : createAttestationClient({ baseUrl: attestation, transport });
  const metrics = createMetrics();
  const count = metrics.counter('cloister_http_requests_total', 'Requests by route and status.');
  const { app, vault } = build({
    broker,
    store,
    random,
    now,
    quote: identity,
    channelKeys,
    collateral: collateralOf(platform, issuer),
    fetchIssuerKeys: () => needed(issuer, 'attestation').certs(),
    issuer: () => publicUrl,
    origins: config.portalOrigin,
    log,
    observe: ({ method, route, status }) => count({ method, route: routeTemplate(route), status }),
    vault: signer === undefined ? undefined : { signer: () => signer, baseUrl: () => vaultUrl },
  });
  const serving = await serve({ app, port: config.port, host: config.host });
  publicUrl = config.publicUrl ?? serving.url;
  const others: (Serving | undefined)[] = [await serveMetrics(metrics, config)];
  if (vault !== undefined && signer !== undefined && config.vaultPort !== undefined) {
    const routes = vaultRoutes(vault, () => vaultUrl);
    const shown = await serveVault(routes, signer, { port: config.vaultPort, host: config.host });
    vaultUrl = `https://${config.vaultHost}:${new URL(shown.url).port}`;
    others.push(shown);
  }
  const { replica } = config;
  const me = identity;
  const unseal = async (): Promise<void> => {
    if (replica === undefined) return;
    const source = { url: replica, identity: () => me.current(), transport, now, random };
    const code = await askReplica(broker, source);
    if (code !== undefined) log('replica_refused', { code: errorCode({ code }) });
  };
  const duties = startDuties(broker, {
    unseal,
    onError: (error) =>
      log('failed', {
        route: routeTemplate('duties'),
        code: errorCode(error),
        where: errorPlace(error),
      }),
    onPhase: (state) => log('state', { state }),
  });
  await duties.tick();
  log('started', {
    state: broker.phase,
    entries: broker.opened?.journal.tree.size ?? 0,
  });
  write(`listening on ${serving.url}\n`);
  if (vault !== undefined) write(`vault on ${vaultUrl}\n`);
  const signal = await untilSignal(process);
  log('stopping', { signal });
  duties.stop();
  broker.heads.close();
  await Promise.all([serving.close(), ...others.map((other) => other?.close())]);
  transport.close();
}
