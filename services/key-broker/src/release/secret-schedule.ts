import type { SecretAgreement } from '@cloister/attestation';
import type { SecretRecord } from '../journal/broker-state.ts';

/** A version that is to be made, and what becomes of the others. */
export interface DueVersion {
  readonly from: number;
  readonly reason: 'first' | 'rotation' | 'narrowed' | 'requested';
  readonly retires: readonly { readonly version: number; readonly until: number }[];
}

/** Channel keys live a day (design 5). */
const CHANNEL_LIFETIME = 86_400;

/**
 * The version of a generated secret that must be made now: the first one, or the next, two leases
 * before it comes into use: every replica renews within one lease, so all of them have it in time.
 * Channel keys end one lease after their successor's beginning; others stay until destroyed.
 */
export function dueVersion(
  secret: SecretRecord,
  agreement: SecretAgreement,
  { now, lease }: { readonly now: number; readonly lease: number },
): DueVersion | undefined {
  if (agreement.type === 'imported') return undefined;
  const newest = secret.versions.at(-1);
  if (newest === undefined) return { from: now, reason: 'first', retires: [] };
  const lifetime = agreement.lifetime ?? (agreement.type === 'hpke' ? CHANNEL_LIFETIME : undefined);
  if (lifetime === undefined || newest.from + lifetime - 2 * lease > now) return undefined;
  const from = Math.max(newest.from + lifetime, now);
  const ends = agreement.type === 'hpke' && newest.until === undefined;
  const retires = ends ? [{ version: newest.version, until: from + lease }] : [];
  return { from, reason: 'rotation', retires };
}

/**
 * The version that takes the place of all others at once: a service was narrowed, or asked for it.
 * Old channel keys open nothing any more; old tenant keys are needed until all is rewrapped.
 */
export function replacingVersion(
  secret: SecretRecord,
  agreement: SecretAgreement,
  { now, reason }: { readonly now: number; readonly reason: 'narrowed' | 'requested' },
): DueVersion | undefined {
  if (agreement.type === 'imported' || secret.versions.length === 0) return undefined;
  const retires = secret.versions
    .filter(
      ({ from, until }) => (agreement.type === 'hpke' || from > now) && (until ?? now + 1) > now,
    )
    .map(({ version }) => ({ version, until: now }));
  return { from: now, reason, retires };
}
