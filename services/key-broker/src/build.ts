import { VerificationCache } from '@cloister/attestation';
import type { Hono } from 'hono';
import type { Jwk } from '@cloister/crypto';
import { createApp, type AppDeps } from './app.ts';
import type { Broker } from './broker.ts';
import { Certificates } from './certificates/certificates.ts';
import { Counters } from './counters.ts';
import { Recovery } from './recovery/recovery.ts';
import { Replicas } from './recovery/replicas.ts';
import { Leases } from './release/leases.ts';
import { PartySecrets } from './release/party-secrets.ts';
import type { Store } from '@cloister/service';
import { createCallerGate, IssuerKeys } from './trust/caller-gate.ts';
import { NonceMemory, PARTY_NONCE_MS } from './trust/nonce-memory.ts';
import { Vault, type VaultDeps } from './vault/vault.ts';

/** What the parts are put together from. */
export interface BuildOptions
  extends Pick<
    AppDeps,
    | 'quote'
    | 'channelKeys'
    | 'random'
    | 'now'
    | 'origins'
    | 'log'
    | 'observe'
    | 'collateral'
    | 'issuer'
  > {
  readonly broker: Broker;
  readonly store: Store;
  readonly fetchIssuerKeys: () => Promise<readonly Jwk[]>;
  /** Only with the vault's protocol. */
  readonly vault?: Pick<VaultDeps, 'signer' | 'baseUrl'> | undefined;
}

/** The applications around a broker: its own, and the vault's where that is served. */
export interface BuiltApps {
  readonly app: Hono;
  readonly vault: Vault | undefined;
}

/** Puts the parts of the service together. */
export function build(options: BuildOptions): BuiltApps {
  const { broker, store, random, now, fetchIssuerKeys } = options;
  const cache = new VerificationCache();
  const nonces = new NonceMemory(random, () => now().getTime());
  const secrets = new PartySecrets(broker);
  const app = createApp({
    ...options,
    cache,
    nonces,
    partyNonces: new NonceMemory(random, () => now().getTime(), PARTY_NONCE_MS),
    secrets,
    leases: new Leases(broker, { nonces, random, cache }),
    certificates: new Certificates(broker, { nonces, random, cache }),
    counters: new Counters(broker),
    recovery: new Recovery(broker, { store, random }),
    replicas: new Replicas(broker, { nonces, random, cache, quote: options.quote }),
    callers: createCallerGate({ fetchIssuerKeys, now }),
  });
  const issuerKeys = new IssuerKeys(fetchIssuerKeys, now);
  const vault =
    options.vault === undefined
      ? undefined
      : new Vault({ broker, secrets, store, issuerKeys, random, ...options.vault });
  return { app, vault };
}
