import type { Context, Hono } from 'hono';
import type { Bytes, JsonObject } from '@cloister/bytes';
import type { Random } from '@cloister/sealing';
import type { AuditContext } from '../fhir/audit-event.ts';
import { newId } from '../new-id.ts';
import type { Ledger } from '../store/ledger.ts';
import type { NewEntry, Stored } from '../store/sealed-group.ts';
import type { Directory } from '../store/directory.ts';
import type { Session } from '../sign-in/sessions.ts';

/** What comes with a request besides itself. */
export interface Env {
  Bindings: {
    /** SHA-256 of the encapsulation by which the request came (design 5); absent in tests only. */
    readonly encapsulation?: Bytes;
  };
  Variables: {
    readonly requestId: string;
    readonly session: Session;
  };
}

/** A request of this service. */
export type RecordsContext = Context<Env>;
/** A set of routes of this service. */
export type RecordsRoutes = Hono<Env>;

/** What every route works with. */
export interface Core {
  readonly ledger: Ledger;
  readonly random: Random;
  readonly now: () => Date;
  /** The service's own Device: `Device/<id>`. */
  readonly device: string;
}

/** What a request's audit events say of it. */
export function auditContext(core: Core, c: RecordsContext): AuditContext {
  return {
    device: core.device,
    at: core.now(),
    requestId: c.get('requestId'),
    user: c.get('session').practitioner,
  };
}

/** An audit event as an entry of the log; sealed with the record of the patient it is about. */
export function auditEntry(random: Random, event: JsonObject, patient?: string): NewEntry {
  const id = newId(random);
  return {
    type: 'AuditEvent',
    id,
    content: { ...event, id },
    follows: 0,
    ...(patient === undefined ? {} : { patient }),
  };
}

/**
 * Writes what a request does, its audit events and its encapsulation in one transaction: a copy
 * of the same message does nothing (design 5), and no access goes unrecorded.
 */
export function commitFor(
  core: Core,
  c: RecordsContext,
  entries: readonly NewEntry[],
  check?: (directory: Directory) => void,
): Promise<readonly Stored[]> {
  // Hono gives no bindings at all where a test sends a request without any.
  const { encapsulation } = c.env ?? {};
  return core.ledger.commit(entries, {
    request: encapsulation,
    ...(check === undefined ? {} : { check }),
  });
}
