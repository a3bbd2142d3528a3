import type { Context, Hono } from 'hono';
import { errorCode } from '@cloister/service';
import { isJsonObject, MalformedError, parseJson, type JsonObject } from '@cloister/bytes';
import { checkApiVersion } from '../api-version.ts';
import { AzureError, azureErrorResponse, azureJson } from '../azure-error.ts';
import type { AttestationLog } from '../events.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { POLICY_TYPES } from '../kinds.ts';
import type { Authorize, Role } from '../management/authorize.ts';
import {
  changeCertificates,
  getCertificates,
  getPolicy,
  recordOf,
  resetPolicy,
  setPolicy,
  type Call,
  type ManageDeps,
} from '../management/manage.ts';
import type { AuditOperation, AuditRecord } from '../state/state-store.ts';
import { managementPayload } from '../tokens/attestation-payload.ts';
import { signPayload } from '../tokens/sign-payload.ts';

/** What management routes need. */
export interface ManagementDeps extends ManageDeps {
  readonly baseUrl: string;
  readonly keys: KeyRing;
  readonly authorize: Authorize;
  readonly now: () => Date;
  readonly log: AttestationLog;
  readonly countManaged: (operation: AuditOperation, outcome: string) => void;
}

/** One operation: what it is called, who may, and what it does with what was sent. */
interface Operation {
  readonly name: AuditOperation;
  readonly subject: AuditRecord['subject'];
  readonly role: Role;
  /** Changes keep their own record, in one transaction; this one keeps one of the call. */
  readonly recorded?: boolean;
  readonly run: (sent: string, call: Call) => Promise<JsonObject>;
}

const MOST_RECORDS = 1000;

/** Policies and their signers (spec/azure-attestation.md 1.2 and 2), keys, and the audit of all. */
export function managementRoutes(app: Hono, deps: ManagementDeps): void {
  for (const type of POLICY_TYPES) {
    const policy = `/policies/${type}`;
    app.get(policy, (c) =>
      perform(c, deps, {
        name: 'get-policy',
        subject: type,
        role: 'read',
        run: () => getPolicy(type, deps),
      }),
    );
    app.put(policy, (c) =>
      perform(c, deps, {
        name: 'set-policy',
        subject: type,
        role: 'write',
        recorded: true,
        run: (sent, call) => setPolicy(type, sent, call, deps),
      }),
    );
    app.post(`${policy}:reset`, (c) =>
      perform(c, deps, {
        name: 'reset-policy',
        subject: type,
        role: 'write',
        recorded: true,
        run: (sent, call) => resetPolicy(type, sent, call, deps),
      }),
    );
  }
  app.get('/certificates', (c) =>
    perform(c, deps, {
      name: 'get-certificates',
      subject: 'certificates',
      role: 'read',
      run: () => getCertificates(deps),
    }),
  );
  for (const change of ['add', 'remove'] as const)
    app.post(`/certificates:${change}`, (c) =>
      perform(c, deps, {
        name: `${change}-certificate`,
        subject: 'certificates',
        role: 'write',
        recorded: true,
        run: (sent, call) => changeCertificates(change, certificateJws(sent), call, deps),
      }),
    );
  app.post('/keys:rotate', (c) => rotateKeys(c, deps));
  app.get('/audit', (c) => listAudit(c, deps));
}

async function perform(c: Context, deps: ManagementDeps, operation: Operation): Promise<Response> {
  const { baseUrl, keys, state } = deps;
  const { name, subject, recorded = false, run } = operation;
  return guarded(c, deps, operation, async (call) => {
    const sent = c.req.method === 'GET' ? '' : (await c.req.text()).trim();
    const claims = await run(sent, call);
    if (!recorded) await state.record(recordOf(name, subject, sent, call));
    const payload = managementPayload(claims, baseUrl, call.at);
    return azureJson({ token: signPayload(payload, keys.current(), { baseUrl }) });
  });
}

/** Who calls, and that it is kept: refusals of callers that are known, too. */
async function guarded(
  c: Context,
  deps: ManagementDeps,
  { name, subject, role }: Pick<Operation, 'name' | 'subject' | 'role'>,
  work: (call: Call) => Promise<Response>,
): Promise<Response> {
  const { authorize, now, state, log, countManaged } = deps;
  let call: Call | undefined;
  try {
    checkApiVersion(c.req.query('api-version'));
    call = { actor: await authorize(c.req.header('authorization'), role), at: now() };
    const answer = await work(call);
    log('managed', { operation: name, code: errorCode({ code: 'done' }) });
    countManaged(name, 'done');
    return answer;
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    log('managed', { operation: name, code: errorCode({ code: error.reason }) });
    countManaged(name, error.code);
    // Whoever is not known leaves a line in the log, and none in a table without end.
    if (call !== undefined) await state.record(recordOf(name, subject, '', call, error.reason));
    return azureErrorResponse(error);
  }
}

/** A JSON string, an object of 2025-06-01, or the bare JWS (spec/azure-attestation.md 1.2). */
function certificateJws(sent: string): string {
  if (!/^["{]/.test(sent)) return sent;
  try {
    const json = parseJson(sent, 'body', { maxDepth: 4, maxLength: 1 << 20 });
    if (typeof json === 'string') return json;
    const members = isJsonObject(json) ? json : {};
    const jws = members['policyCertificateToAdd'] ?? members['policyCertificateToRemove'];
    if (typeof jws === 'string') return jws;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw new AzureError('InvalidOperation', 'The body holds no JWT', 'bad_jws');
}

/** Ours: makes a new signing key, published at once, in use when clients had time to see it. */
function rotateKeys(c: Context, deps: ManagementDeps): Promise<Response> {
  const { keys, state } = deps;
  return guarded(c, deps, { name: 'rotate-key', subject: 'keys', role: 'write' }, async (call) => {
    const record = recordOf('rotate-key', 'keys', '', call);
    if (!(await state.claimRotation(await state.rotation(), record)))
      throw new AzureError('Conflict', 'Another rotation was made at the same time', 'conflict');
    const { kid, thumbprint, from } = await keys.rotate();
    return azureJson({ kid, thumbprint, signsFrom: new Date(from * 1000).toISOString() });
  });
}

/** Ours: the records of management, the oldest first. Reading them is no change: it keeps none. */
async function listAudit(c: Context, deps: ManagementDeps): Promise<Response> {
  const { authorize, state } = deps;
  try {
    checkApiVersion(c.req.query('api-version'));
    await authorize(c.req.header('authorization'), 'read');
    const after = c.req.query('after') ?? '0';
    if (!/^\d{1,15}$/.test(after))
      throw new AzureError('InvalidParameter', 'after: a position', 'bad_position');
    return azureJson({ records: await state.records(Number(after), MOST_RECORDS) });
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    return azureErrorResponse(error);
  }
}
