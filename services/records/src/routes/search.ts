import {
  decodeUtf8,
  encodeUtf8,
  type JsonObject,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import { decodeBase64url, encodeBase64url } from '@cloister/bytes';
import { openObject, sealObject, type SealingKey, TamperedError } from '@cloister/sealing';
import { searchAudit } from '../fhir/audit-event.ts';
import { fhirAnswer } from '../fhir/exchange.ts';
import type { ResourceType } from '../fhir/resource-types.ts';
import {
  isBehind,
  type PagePlace,
  parseSearch,
  readPlace,
  runSearch,
  type Search,
  sortValue,
} from '../fhir/search.ts';
import { RefusedError } from '../refused-error.ts';
import { auditContext, auditEntry, commitFor, type Core, type RecordsContext } from './context.ts';

/** What searching works with. */
export interface SearchDeps extends Core {
  /** Seals the cursors of pages; made at start, so old cursors end with the process. */
  readonly cursorKey: SealingKey;
}

/** Answers a search with a page of the matches; one audit event for each patient on it. */
export async function searchResources(
  deps: SearchDeps,
  c: RecordsContext,
  type: ResourceType,
  query: URLSearchParams,
): Promise<Response> {
  const strict = /\bhandling=strict\b/.test(c.req.header('prefer') ?? '');
  const search = parseSearch(type.name, query, strict);
  const { ledger, random } = deps;
  const { user } = c.get('session').account;
  const place = search.cursor === undefined ? undefined : await openCursor(deps, search, user);
  const matches = runSearch(ledger.directory, search);
  const behind = place === undefined ? matches : matches.filter((k) => isBehind(k, place, search));
  const page = search.countOnly ? [] : behind.slice(0, search.count);
  const resources: JsonObject[] = [];
  for (const { id } of page) {
    resources.push((await ledger.read(type.name, id)) ?? {});
  }

  const context = auditContext(deps, c);
  const asked = `${type.name}?${new URLSearchParams(search.used.map((p) => [...p])).toString()}`;
  const patients = new Set(page.map((known) => known.patient));
  if (patients.size > 1) patients.delete(undefined);
  if (patients.size === 0) patients.add(undefined);
  const audits = [...patients].map((patient) => {
    const reference = patient === undefined ? undefined : `Patient/${patient}`;
    return auditEntry(random, searchAudit(context, asked, reference), patient);
  });
  await commitFor(deps, c, audits);

  const base = `${new URL(c.req.url).origin}/fhir`;
  const last = page.at(-1);
  const link = [{ relation: 'self', url: `${base}/${asked}` }];
  if (last !== undefined && behind.length > page.length) {
    const sealed = await sealCursor(deps, search, user, {
      value: sortValue(last, search),
      id: last.id,
    });
    const next = new URLSearchParams([...search.used.map((p) => [...p]), ['_cursor', sealed]]);
    link.push({ relation: 'next', url: `${base}/${type.name}?${next.toString()}` });
  }
  const entry: JsonObject[] = resources.map((resource, i) => ({
    fullUrl: `${base}/${type.name}/${page[i]?.id ?? ''}`,
    resource,
    search: { mode: 'match' },
  }));
  if (search.unknown.length > 0) entry.push({ resource: ignored(), search: { mode: 'outcome' } });
  return fhirAnswer({
    resourceType: 'Bundle',
    type: 'searchset',
    total: matches.length,
    link,
    ...(entry.length === 0 ? {} : { entry }),
  });
}

/** Says that parameters were ignored, without repeating what was sent. */
const ignored = (): JsonObject => ({
  resourceType: 'OperationOutcome',
  issue: [
    {
      severity: 'warning',
      code: 'not-supported',
      details: { text: 'a search parameter that this type does not have was ignored' },
    },
  ],
});

/** The cursor is sealed: it holds a sort key, and is good for the same query of the same user only. */
async function sealCursor(
  deps: SearchDeps,
  search: Search,
  user: string,
  place: PagePlace,
): Promise<string> {
  const bytes = encodeUtf8(JSON.stringify(place));
  const { random } = deps;
  return encodeBase64url(
    await sealObject(deps.cursorKey, cursorRef(search, user), bytes, { random }),
  );
}

async function openCursor(deps: SearchDeps, search: Search, user: string): Promise<PagePlace> {
  try {
    const sealed = decodeBase64url(search.cursor ?? '', 'cursor');
    const text = decodeUtf8(await openObject(deps.cursorKey, cursorRef(search, user), sealed));
    const place = readPlace(parseJsonObject(text, 'cursor'));
    if (place !== undefined) return place;
  } catch (error) {
    if (!(error instanceof TamperedError || error instanceof MalformedError)) throw error;
  }
  throw new RefusedError('bad_request', 'parameter _cursor');
}

const cursorRef = (search: Search, user: string) => ({
  tenant: user,
  type: `cursor ${search.type}`,
  id: JSON.stringify(search.used),
  version: 1,
});
