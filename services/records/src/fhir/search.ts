import type { JsonValue } from '@cloister/bytes';
import { RefusedError } from '../refused-error.ts';
import type { Directory, Known } from '../store/directory.ts';
import { dateRange, fold, type SearchKey } from '../store/search-keys.ts';
import { resourceType, type SearchParameter, searchParameters } from './resource-types.ts';

/** One condition: any of its values must hold. */
interface Condition {
  readonly parameter: SearchParameter;
  readonly modifier: string;
  readonly values: readonly string[];
}

/** A search as it was understood. */
export interface Search {
  readonly type: string;
  readonly conditions: readonly Condition[];
  /** The parameters that were used, in order: what the `self` link lists. */
  readonly used: readonly (readonly [string, string])[];
  /** Names that this type does not answer; ignored, and said so. */
  readonly unknown: readonly string[];
  readonly count: number;
  readonly countOnly: boolean;
  readonly sort: { readonly parameter: string; readonly descending: boolean };
  readonly cursor?: string;
}

const DEFAULT_COUNT = 20;
const MAX_COUNT = 200;
/** Parameters that change how the answer looks and that we may leave out. */
const IGNORED = new Set(['_format', '_pretty', '_total']);
const MODIFIERS: Readonly<Record<SearchParameter['type'], readonly string[]>> = {
  token: ['', 'not', 'missing'],
  string: ['', 'exact', 'contains', 'missing'],
  reference: ['', 'missing'],
  date: ['', 'missing'],
};

/** Reads the parameters of a search (FHIR R4, search); strict refuses those that it does not know. */
export function parseSearch(type: string, query: URLSearchParams, strict: boolean): Search {
  const parameters = new Map(searchParameters(type).map((p) => [p.name, p]));
  const conditions: Condition[] = [];
  const used: [string, string][] = [];
  const unknown: string[] = [];
  let count = DEFAULT_COUNT;
  let countOnly = false;
  let sort = { parameter: '_lastUpdated', descending: true };
  let cursor: string | undefined;
  for (const [name, value] of query) {
    const [base = '', modifier = ''] = name.split(':');
    const parameter = parameters.get(base);
    if (IGNORED.has(name)) continue;
    if (parameter !== undefined && MODIFIERS[parameter.type].includes(modifier)) {
      if (value === '') continue;
      conditions.push({ parameter, modifier, values: splitValues(value, ',') });
    } else if (name === '_count') {
      if (!/^\d{1,9}$/.test(value)) throw bad('_count');
      count = Math.min(Number(value), MAX_COUNT);
      countOnly ||= count === 0;
    } else if (name === '_summary' && value === 'count') countOnly = true;
    else if (name === '_sort') sort = parseSort(value, parameters);
    else if (name === '_cursor') cursor = value;
    else {
      unknown.push(base);
      continue;
    }
    if (name !== '_cursor') used.push([name, value]);
  }
  if (strict && unknown.length > 0)
    throw new RefusedError('unknown_parameter', 'a search parameter that this type does not have');
  for (const condition of conditions) checkValues(condition);
  const search = { type, conditions, used, unknown, count, countOnly, sort };
  return cursor === undefined ? search : { ...search, cursor };
}

const bad = (name: string): RefusedError => new RefusedError('bad_request', `parameter ${name}`);

/** Splits at a separator that is not escaped, and takes the escapes away. */
function splitValues(text: string, separator: string): string[] {
  const parts = [''];
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === '\\' && i + 1 < text.length) parts[parts.length - 1] += `\\${text.charAt(++i)}`;
    else if (char === separator) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts;
}

const unescape = (text: string): string => text.replace(/\\([\s\S])/g, '$1');

function parseSort(
  value: string,
  parameters: ReadonlyMap<string, SearchParameter>,
): Search['sort'] {
  const [first = ''] = value.split(',');
  const descending = first.startsWith('-');
  const name = first.replace(/^-/, '');
  if (!parameters.has(name)) throw bad('_sort');
  return { parameter: name, descending };
}

function checkValues({ parameter, modifier, values }: Condition): void {
  if (modifier === 'missing') {
    if (!values.every((value) => value === 'true' || value === 'false')) throw bad(parameter.name);
  } else if (parameter.type === 'date' && !values.every((value) => parseDate(value)))
    throw bad(parameter.name);
}

/** The resources that a search matches, in its order. */
export function runSearch(directory: Directory, search: Search): Known[] {
  if (resourceType(search.type) === undefined) return [];
  const found = [...directory.all(search.type)].filter((known) =>
    search.conditions.every((condition) => holds(known, condition)),
  );
  const sign = search.sort.descending ? -1 : 1;
  return found.toSorted((a, b) => {
    const [x, y] = [sortValue(a, search), sortValue(b, search)];
    if (x !== y) return x < y ? -sign : sign;
    return a.id < b.id ? -1 : 1;
  });
}

/** What a resource is sorted by. */
export function sortValue(known: Known, search: Search): string | number {
  const { parameter } = search.sort;
  if (parameter === '_lastUpdated') return known.lastUpdated;
  const key = known.search.get(parameter)?.[0];
  if (key === undefined) return '';
  if (key.kind === 'date') return key.from;
  if (key.kind === 'string') return key.folded;
  return key.kind === 'token' ? key.code : key.reference;
}

function holds(known: Known, { parameter, modifier, values }: Condition): boolean {
  const keys = keysFor(known, parameter);
  if (modifier === 'missing')
    return values.some((value) => (value === 'true') === (keys.length === 0));
  const matches = values.some((value) =>
    keys.some((key) => matchesKey(key, value, modifier, parameter)),
  );
  return modifier === 'not' ? !matches : matches;
}

function keysFor(known: Known, { name }: SearchParameter): readonly SearchKey[] {
  if (name === '_lastUpdated')
    return [{ kind: 'date', from: known.lastUpdated, to: known.lastUpdated }];
  if (name === '_id') return [{ kind: 'token', system: '', code: known.id }];
  return known.search.get(name) ?? [];
}

function matchesKey(
  key: SearchKey,
  value: string,
  modifier: string,
  parameter: SearchParameter,
): boolean {
  if (key.kind === 'token') return matchesToken(key, value);
  if (key.kind === 'date') return matchesDate(key, value);
  const wanted = unescape(value);
  if (key.kind === 'reference') return matchesReference(key.reference, wanted, parameter);
  if (modifier === 'exact') return key.exact === wanted;
  const folded = fold(wanted);
  return modifier === 'contains' ? key.folded.includes(folded) : key.folded.startsWith(folded);
}

/** `system|code`, `|code` (no system), `system|` (any code), `code` (any system). */
function matchesToken(key: { system: string; code: string }, value: string): boolean {
  const parts = splitValues(value, '|').map(unescape);
  if (parts.length === 1) return key.code === parts[0];
  const [system = '', code = ''] = parts;
  return key.system === system && (code === '' || key.code === code);
}

/** `Type/id`, a bare id of the parameter's type, or a URL that ends with one. */
function matchesReference(reference: string, value: string, { target }: SearchParameter): boolean {
  if (reference === value) return true;
  if (!value.includes('/')) {
    if (target !== undefined) return reference === `${target}/${value}`;
    return reference.endsWith(`/${value}`);
  }
  return /^https?:/.test(value) && value.endsWith(`/${reference}`);
}

const PREFIX = /^(eq|ne|lt|gt|le|ge|sa|eb)?(\d.*)$/;

function parseDate(value: string): { prefix: string; from: number; to: number } | undefined {
  const match = PREFIX.exec(unescape(value));
  const range = dateRange(match?.[2] ?? '');
  return range === undefined ? undefined : { prefix: match?.[1] ?? 'eq', ...range };
}

/** Ranges against ranges, at the precision that each was given with (FHIR R4, search: date). */
function matchesDate(key: { from: number; to: number }, value: string): boolean {
  const wanted = parseDate(value);
  if (wanted === undefined) return false;
  const { prefix, from, to } = wanted;
  const inside = key.from >= from && key.to <= to;
  switch (prefix) {
    case 'ne':
      return !inside;
    case 'gt':
      return key.to > to;
    case 'lt':
      return key.from < from;
    case 'ge':
      return key.to > to || inside;
    case 'le':
      return key.from < from || inside;
    case 'sa':
      return key.from > to;
    case 'eb':
      return key.to < from;
    default:
      return inside;
  }
}

/** A place in a sorted result: what stands behind it is on the next page. */
export interface PagePlace {
  readonly value: string | number;
  readonly id: string;
}

/** Whether a resource stands behind a place, in a search's order. */
export function isBehind(known: Known, place: PagePlace, search: Search): boolean {
  const value = sortValue(known, search);
  if (value !== place.value)
    return search.sort.descending ? value < place.value : value > place.value;
  return known.id > place.id;
}

/** Reads a place back from a cursor's content. */
export function readPlace(content: Readonly<Record<string, JsonValue>>): PagePlace | undefined {
  const { value, id } = content;
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  return typeof id === 'string' ? { value, id } : undefined;
}
