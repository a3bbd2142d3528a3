import { Hono } from 'hono';
import { accessAudit, type AccessEvent, denialAudit } from '../fhir/audit-event.ts';
import { capabilityStatement } from '../fhir/capability-statement.ts';
import { fhirAnswer, readResource } from '../fhir/exchange.ts';
import { RESOURCE_TYPES, type ResourceType } from '../fhir/resource-types.ts';
import { newId } from '../new-id.ts';
import { RefusedError } from '../refused-error.ts';
import type { Known } from '../store/directory.ts';
import type { NewEntry, Stored } from '../store/sealed-group.ts';
import type { Cache } from '@cloister/service';
import { RateLimit } from '../cache/rate-limit.ts';
import { createCondition, existingMatch } from '../fhir/conditional-create.ts';
import { checkPatient, refuseDuplicate } from '../fhir/patient-rules.ts';
import { orderedTask } from '../fhir/task-rules.ts';
import {
  auditContext,
  auditEntry,
  commitFor,
  type Core,
  type Env,
  type RecordsContext,
} from './context.ts';
import { searchResources, type SearchDeps } from './search.ts';

/** What the FHIR routes work with. */
export interface FhirDeps extends SearchDeps {
  /** Told of a Task that waits to be done. */
  readonly onTask: (id: string) => void;
  readonly version: string;
  readonly cache: Cache;
}

/** AI opinions that one person may order: each takes a provider some time. */
const ORDERS = { most: 120, windowMs: 60_000 };

const ID = /^[A-Za-z0-9\-.]{1,64}$/;

/** `GET /fhir/metadata`, for everybody. */
export function metadataRoutes(deps: FhirDeps): Hono<Env> {
  const app = new Hono<Env>();
  app.get('/fhir/metadata', () => fhirAnswer(capabilityStatement(deps.now(), deps.version)));
  return app;
}

/** The FHIR interface (spec clinical.md 2.1): one set of routes per type of the table, no others. */
export function fhirRoutes(deps: FhirDeps): Hono<Env> {
  const app = new Hono<Env>();
  const orders = new RateLimit({ cache: deps.cache, name: 'order', ...ORDERS });
  for (const type of RESOURCE_TYPES) {
    const path = `/fhir/${type.name}`;
    app.get(path, (c) => searchResources(deps, c, type, new URL(c.req.url).searchParams));
    app.post(`${path}/_search`, async (c) => {
      if (!/^application\/x-www-form-urlencoded\b/i.test(c.req.header('content-type') ?? ''))
        throw new RefusedError('unsupported_media_type');
      return searchResources(deps, c, type, new URLSearchParams(await c.req.text()));
    });
    app.get(`${path}/:id`, (c) => read(deps, c, type, c.req.param('id')));
    app.get(`${path}/:id/_history/:version`, (c) =>
      read(deps, c, type, c.req.param('id'), c.req.param('version')),
    );
    app.post(path, async (c) => {
      if (type.name === 'Task') await orders.count(c.get('session').account.user);
      return create(deps, c, type);
    });
    app.put(`${path}/:id`, (c) => update(deps, c, type, c.req.param('id')));
    for (const other of [path, `${path}/:id`])
      app.all(other, () => {
        throw new RefusedError('not_allowed', 'this type has no such interaction');
      });
  }
  return app;
}

async function read(
  deps: Core,
  c: RecordsContext,
  { name }: ResourceType,
  id: string,
  vid?: string,
): Promise<Response> {
  const known = ID.test(id) ? deps.ledger.directory.find(name, id) : undefined;
  if (vid !== undefined && !/^[1-9]\d{0,8}$/.test(vid)) throw new RefusedError('not_found');
  if (known === undefined) throw new RefusedError('not_found');
  return readKnown(deps, c, known, vid);
}

/** The answer with a resource that is there, and the audit event of it. */
async function readKnown(
  deps: Core,
  c: RecordsContext,
  known: Known,
  vid?: string,
): Promise<Response> {
  const { type: name, id } = known;
  const version = vid === undefined ? undefined : Number(vid);
  const resource = await deps.ledger.read(name, id, version);
  if (resource === undefined) throw new RefusedError('not_found');
  const event: AccessEvent = {
    interaction: vid === undefined ? 'read' : 'vread',
    resource: `${name}/${id}/_history/${vid ?? known.positions.length}`,
    ...(known.patient === undefined ? {} : { patient: `Patient/${known.patient}` }),
  };
  await commitFor(deps, c, [
    auditEntry(deps.random, accessAudit(auditContext(deps, c), event), known.patient),
  ]);
  const answer = fhirAnswer(resource);
  if (c.req.header('if-none-match') !== answer.headers.get('etag')) return answer;
  return new Response(null, { status: 304, headers: answer.headers });
}

async function create(deps: FhirDeps, c: RecordsContext, type: ResourceType): Promise<Response> {
  const { ledger, random } = deps;
  await permit(deps, c, type, 'create');
  const condition = createCondition(type.name, c.req.header('if-none-exist'));
  const given = await readResource(c.req.raw, type.name);
  let existing = existingMatch(ledger.directory, condition);
  if (existing !== undefined) return readKnown(deps, c, existing);
  const id = newId(random);
  let entry: NewEntry;
  if (type.name === 'Patient') {
    checkPatient(given);
    entry = { type: 'Patient', id, patient: id, content: { ...given, id }, follows: 0 };
  } else {
    const order = { id, at: deps.now(), requester: c.get('session').practitioner };
    entry = orderedTask(ledger.directory, given, order);
  }
  const entries = [entry, writeAudit(deps, c, 'create', entry, 1)];
  const written = commitFor(deps, c, entries, (directory) => {
    existing = existingMatch(directory, condition);
    if (existing !== undefined) throw new RefusedError('duplicate');
    refuseDuplicate(directory, given, id);
  });
  let stored: Stored | undefined;
  try {
    [stored] = await written;
  } catch (error) {
    // It came to be while this request was judged.
    if (existing === undefined || !(error instanceof RefusedError)) throw error;
    return readKnown(deps, c, existing);
  }
  if (type.name === 'Task') deps.onTask(id);
  return fhirAnswer(stored?.content ?? {}, 201, {
    location: `/fhir/${type.name}/${id}/_history/1`,
  });
}

async function update(
  deps: FhirDeps,
  c: RecordsContext,
  type: ResourceType,
  id: string,
): Promise<Response> {
  await permit(deps, c, type, 'update');
  const known = deps.ledger.directory.find(type.name, id);
  if (known === undefined) throw new RefusedError('not_allowed', 'update does not create');
  const match = c.req.header('if-match');
  if (match === undefined) throw new RefusedError('if_match_required');
  const version = /^W\/"([1-9]\d{0,8})"$/.exec(match)?.[1];
  if (version === undefined) throw new RefusedError('version_conflict');
  const given = await readResource(c.req.raw, type.name);
  if (given['id'] !== id) throw new RefusedError('bad_request', 'the id is not that of the URL');
  checkPatient(given);
  const entry = { type: type.name, id, patient: id, content: given, follows: Number(version) };
  const [stored] = await commitFor(
    deps,
    c,
    [entry, writeAudit(deps, c, 'update', entry, Number(version) + 1)],
    (directory) => refuseDuplicate(directory, given, id),
  );
  return fhirAnswer(stored?.content ?? {});
}

/** Refuses, and records, what the user's role may not do; 405 for what nobody may. */
async function permit(
  deps: Core,
  c: RecordsContext,
  type: ResourceType,
  interaction: 'create' | 'update',
): Promise<void> {
  const roles = type[interaction];
  if (roles === undefined)
    throw new RefusedError('not_allowed', 'this type has no such interaction');
  if (roles.includes(c.get('session').account.role)) return;
  const event = denialAudit(auditContext(deps, c), type.name);
  await commitFor(deps, c, [auditEntry(deps.random, event)]);
  throw new RefusedError('forbidden');
}

function writeAudit(
  deps: Core,
  c: RecordsContext,
  interaction: 'create' | 'update',
  { type, id, patient }: NewEntry,
  version: number,
): NewEntry {
  const event: AccessEvent = {
    interaction,
    resource: `${type}/${id}/_history/${version}`,
    ...(patient === undefined ? {} : { patient: `Patient/${patient}` }),
  };
  return auditEntry(deps.random, accessAudit(auditContext(deps, c), event), patient);
}
