import { BROKERS, type BrokerParty } from './places.ts';

/** Where the services of a deployment reach what is common to them. */
export interface Common {
  readonly manifest: string;
  readonly attestation: string;
  readonly brokers: Readonly<Record<BrokerParty, string>>;
}

/** Flags of a key broker: the other one is its witness. */
export function brokerFlags(party: BrokerParty, common: Common): readonly string[] {
  const { manifest, attestation, brokers } = common;
  const witness = party === 'hospital' ? brokers.diagnostics : brokers.hospital;
  return [
    '--manifest',
    manifest,
    '--attestation',
    attestation,
    '--party',
    party,
    '--witness',
    witness,
  ];
}

/** Flags of the inference service. */
export function inferenceFlags(models: string, common: Common): readonly string[] {
  return [...commonFlags(common), '--model-store', models];
}

/** Flags of the cache gate. */
export function cacheFlags(
  { redis, port }: { readonly redis: string; readonly port: number },
  common: Common,
): readonly string[] {
  return [...commonFlags(common), '--redis', redis, '--gate-port', String(port)];
}

/** Flags of the records service. */
export function recordsFlags(
  {
    provider,
    accounts,
    cache,
  }: {
    readonly provider: string;
    readonly accounts: string;
    readonly cache: { readonly url: string; readonly port: number } | undefined;
  },
  common: Common,
): readonly string[] {
  return [
    ...commonFlags(common),
    '--inference',
    provider,
    '--accounts',
    accounts,
    ...(cache === undefined ? [] : ['--cache', cache.url, '--cache-port', String(cache.port)]),
  ];
}

function commonFlags({ manifest, attestation, brokers }: Common): readonly string[] {
  const all = BROKERS.map((party) => `${party}=${brokers[party]}`).join(',');
  return ['--manifest', manifest, '--attestation', attestation, '--brokers', all];
}
