import type { Manifest } from '@cloister/attestation';
import type { ValueChange } from '@cloister/service';
import type { AuthorityVault } from '../certificates/authority-vault.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { BrokerState } from '../journal/broker-state.ts';
import { narrowedServices } from '../trust/narrowed.ts';
import { replacingVersion } from './secret-schedule.ts';
import type { SecretVault } from './secret-vault.ts';

/**
 * What a new manifest does to this party's secrets: those that a narrowed service got, or one that
 * no longer gets them, are replaced in the same transaction. What was imported only its owner can
 * replace: it is marked, and the log says so. The certificate authority is replaced as well, so that
 * certificates of before are accepted no more.
 */
export async function planReplacements(input: {
  readonly state: BrokerState;
  readonly vault: SecretVault;
  readonly authorities: AuthorityVault;
  readonly before: Manifest | undefined;
  readonly after: Manifest;
  readonly party: string;
  readonly now: number;
}): Promise<{ readonly events: readonly BrokerEvent[]; readonly values: readonly ValueChange[] }> {
  const { state, vault, authorities, before, after, party, now } = input;
  const events: BrokerEvent[] = [];
  const values: ValueChange[] = [];
  if (before === undefined) return { events, values };
  const narrowed = narrowedServices(before, after);
  for (const [name, agreement] of Object.entries(after.secrets ?? {})) {
    const old = before.secrets?.[name];
    if (agreement.owner !== party || old === undefined) continue;
    const [service] = old.to.filter((to) => narrowed.includes(to) || !agreement.to.includes(to));
    if (service === undefined) continue;
    const secret = state.secret(name);
    const due = replacingVersion(secret, agreement, { now, reason: 'narrowed' });
    if (due !== undefined) {
      const value = await vault.generate(agreement, secret.newest + 1, after);
      const planned = await vault.plan(name, secret, value, due);
      events.push(planned.event);
      values.push(planned.change);
    } else if (agreement.type === 'imported' && secret.versions.length > 0)
      events.push({ event: 'secret-stale', name, service });
  }
  if (narrowed.length > 0 && state.authorities.length > 0) {
    const { deployment } = after;
    const terms = { now, party, deployment, reason: 'narrowed' } as const;
    const { event, changes } = await authorities.plan(state.authorities, terms);
    events.push(event);
    values.push(...changes);
  }
  return { events, values };
}
