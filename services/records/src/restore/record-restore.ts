import { restoreAudit } from '../fhir/audit-event.ts';
import { newId } from '../new-id.ts';
import { auditEntry, type Core } from '../routes/context.ts';
import type { RestoreOrder } from './restore-order.ts';

/** Writes down that entries are given up, by whose word and why, before anything is served. */
export async function recordRestore(core: Core, order: RestoreOrder): Promise<void> {
  const { ledger, random, now, device } = core;
  const { from, to, reason, signers } = order;
  const gone = from.value > to.value ? `${to.value} to ${from.value - 1}` : 'another line';
  const context = { device, at: now(), requestId: newId(random) };
  await ledger.commit([auditEntry(random, restoreAudit(context, { reason, signers, gone }))]);
}
