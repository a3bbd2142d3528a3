import type { Fetch } from '@cloister/channel';
import { createBrokerSession } from '@cloister/client';
import { errorCode, guardByLeases, keepLease, routeTemplate, watchText } from '@cloister/service';
import { createDerivedChannelKeys } from './derived-channel-keys.ts';
import {
  type KeySourceOptions,
  OWN_PARTY,
  type Releases,
  SERVICE,
  TENANT_KEY,
} from './open-releases.ts';
import { createVaultKeys, type VaultIdentity } from './vault-keys.ts';

/** What is asked of the hospital's vault, and by whom. */
export interface VaultReleasesOptions extends KeySourceOptions {
  /** Makes a new identity with a token over its keys, for each release. */
  readonly identify: () => Promise<VaultIdentity>;
  /** How the vault is reached. */
  readonly vaultTransport: Fetch;
  /** The access token for the vault's interface. */
  readonly authorize: () => Promise<string>;
}

/** Heads are looked at every minute (design 2.1, rule 8), more often where the lease is short. */
const MINUTE = 60;
const LOOKS_PER_LEASE = 15;
/** What `keepLease` says of whoever it cannot ask. */
const UNREACHABLE = 'broker_unreachable';

/**
 * Gets the tenant key from the hospital's vault, where the manifest names one in the place of a
 * broker, and asks for it again within every lease: a vault that no longer releases it ends serving
 * as a broker does that no longer renews. What is lost: the hospital has no heads, so the time is the
 * host's and peers are judged by nonce alone; no counters; and the channel's keys are derived. The
 * heads of other parties' brokers are carried still, for they judge by them.
 */
export async function openVaultReleases(options: VaultReleasesOptions): Promise<Releases> {
  const { follower, log, readManifest, primitives } = options;
  const others = Object.entries(options.brokers).filter(([party]) => party !== OWN_PARTY);
  const brokers = Object.fromEntries(others);
  const session = createBrokerSession({
    ...options,
    brokers,
    monotonic: () => performance.now(),
    service: SERVICE,
    ownParty: OWN_PARTY,
  });
  // No head gives it, but it only runs on: no lease lasts longer because the host sets its clock back.
  const { now } = session;
  follower.onChange(({ trust }) => log('manifest', { serial: trust.manifest.serial }));
  const readFile = async (): Promise<void> => {
    const { refused } = await follower.offer([await readManifest()]);
    if (refused !== undefined) log('manifest_refused', { code: routeTemplate(refused) });
  };
  const tenant = await keepLease({
    name: TENANT_KEY,
    ask: createVaultKeys({
      ...options,
      now,
      name: TENANT_KEY,
      service: SERVICE,
      transport: options.vaultTransport,
    }),
    now,
    onFailure: (code) => {
      const said = code === UNREACHABLE ? 'vault_unreachable' : code;
      log('lease_failed', { secret: routeTemplate(TENANT_KEY), code: routeTemplate(said) });
    },
    onRenewed: async () => {
      await options.onTenantKeys();
      await options.onChannelKeys();
    },
  });
  follower.onChange(() => {
    // Not waited for: what asks for the lease may be what found the manifest.
    void tenant.renew();
  });
  const { versions, immutable } = tenant.secret;
  log('keys_from_vault', { versions: versions.length, immutable, heads: false });
  const lookAtOthers = async (): Promise<void> => {
    await session.heads.refresh();
    await session.catchUp();
  };
  await lookAtOthers();
  const { lease } = follower.trust.manifest;
  const looking = setInterval(
    () => {
      lookAtOthers().catch((error: unknown) => {
        log('heads_failed', { code: errorCode(error) });
      });
    },
    Math.min(MINUTE, lease / LOOKS_PER_LEASE) * 1000,
  ).unref();
  const stopFile = watchText({
    read: readManifest,
    onText: readFile,
    onFailure: () => log('manifest_refused', { code: routeTemplate('unreadable') }),
  });
  return {
    now,
    heads: () => session.heads.keeper.hashes(),
    judgeHeads: undefined,
    channelKeys: createDerivedChannelKeys({
      secret: () => tenant.secret,
      deployment: follower.trust.manifest.deployment,
      kems: () => follower.trust.manifest.services[SERVICE]?.config?.kems ?? ['x-wing'],
      lease: () => follower.trust.manifest.lease,
      now,
      primitives,
    }),
    tenantSecret: () => tenant.secret,
    renewTenantKeys: async () => {
      // A version that is not here stands in a manifest that is not here.
      await readFile();
      await session.catchUp();
      await tenant.renew();
    },
    counterKeeper: (name, signCall) => session.counterKeeper(name, signCall),
    destroyTenantKey: undefined,
    isServing: () => tenant.isRunning(),
    guard: (gateway) => guardByLeases(gateway, [tenant]),
    close: () => {
      stopFile();
      clearInterval(looking);
      tenant.stop();
    },
  };
}
