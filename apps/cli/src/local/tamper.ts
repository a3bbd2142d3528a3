import { writeBehindHospital } from './agreement.ts';
import { startFreezingHost } from './freezing-host.ts';
import { startHostileBrokers, type HostileOptions } from './hostile-brokers.ts';
import type { LocalModel } from './model.ts';
import type { PassingHost } from './passing-host.ts';
import type { BrokerParty } from './places.ts';
import type { Prepared, PrepareOptions } from './prepare.ts';
import { startTamperingHost } from './tampering-host.ts';
import type { VariantOptions } from './variant.ts';

/** How one party may cheat in a demo. */
export const TAMPERS = [
  'quote',
  'token',
  'measurement',
  'model',
  'receipt',
  'config',
  'broker',
  'manifest',
  'rollback',
  'replay',
  'stale-head',
  'cache-token',
] as const;
/** One way of cheating. */
export type Tamper = (typeof TAMPERS)[number];

/** Where it is seen that heads grow old: an agreement by which that takes seconds. */
export const SHORT_LEASE = 8;

/** Where somebody cheats before the provider is asked, it need not run. */
const STOPPED_BEFORE: readonly (Tamper | undefined)[] = [
  'config',
  'broker',
  'manifest',
  'rollback',
  'stale-head',
];

/** Whether the provider's service is needed to see where this cheating is stopped. */
export function needsProvider(tamper: Tamper | undefined): boolean {
  return !STOPPED_BEFORE.includes(tamper);
}

/** Other code that this cheating runs. */
export function variantFor(tamper: Tamper | undefined): VariantOptions | undefined {
  const service = 'inference';
  if (tamper === 'measurement') return { service, change: 'own-keys', agreed: false };
  if (tamper === 'receipt') return { service, change: 'receipt', agreed: true };
  return undefined;
}

/** What the parties agree on besides what they always do, so that this cheating can be seen. */
export function agreementFor(tamper: Tamper | undefined): Pick<PrepareOptions, 'lease' | 'quorum'> {
  if (tamper === 'stale-head') return { lease: SHORT_LEASE };
  return tamper === 'manifest' ? { quorum: 2 } : {};
}

/** The model that the provider's store is given: one bit of its weights flipped would load, too. */
export function modelFor(tamper: Tamper | undefined, model: LocalModel): LocalModel {
  if (tamper !== 'model') return model;
  const bytes = Uint8Array.from(model.model);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return { ...model, model: bytes };
}

/** The host between `records` and the provider; undefined where nobody alters what it says. */
export async function hostBeforeProvider(
  tamper: Tamper | undefined,
  provider: string,
): Promise<PassingHost | undefined> {
  if (tamper !== 'quote' && tamper !== 'token') return undefined;
  return startTamperingHost(provider, tamper);
}

/** What its host gives to `records`. */
export interface RecordsSettings {
  readonly manifest: string;
  readonly brokers: Readonly<Record<BrokerParty, string>>;
  /** What was put between, if anything. */
  readonly host?: PassingHost;
}

/** What its host gives to `records`: as agreed, unless that is where somebody cheats. */
export async function recordsSettingsFor(
  tamper: Tamper | undefined,
  { parties }: Pick<Prepared, 'parties'>,
  options: Omit<HostileOptions, 'agreement'>,
): Promise<RecordsSettings> {
  const { places, genuine: brokers } = options;
  const { manifest } = places;
  if (tamper === 'manifest')
    return { manifest: await writeBehindHospital(places, parties), brokers };
  if (tamper === 'stale-head') {
    const host = await startFreezingHost(brokers.hospital);
    return { manifest, brokers: { ...brokers, hospital: host.url }, host };
  }
  // For `broker`: genuine, with keys of its own. For `config`: with an agreement of their own too.
  if (tamper === 'broker' || tamper === 'config')
    return startHostileBrokers({ ...options, agreement: tamper === 'config' });
  return { manifest, brokers };
}
