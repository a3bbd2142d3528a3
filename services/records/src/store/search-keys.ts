import { isJsonObject, type JsonObject, type JsonValue } from '@cloister/bytes';
import { type SearchParameter, searchParameters } from '../fhir/resource-types.ts';

/** One value of a search parameter, as it is compared. */
export type SearchKey =
  | { readonly kind: 'token'; readonly system: string; readonly code: string }
  | { readonly kind: 'string'; readonly folded: string; readonly exact: string }
  | { readonly kind: 'reference'; readonly reference: string }
  | { readonly kind: 'date'; readonly from: number; readonly to: number };

/** What the directory keeps of a resource to find it by: values by parameter. */
export type SearchKeys = ReadonlyMap<string, readonly SearchKey[]>;

/** The search keys of a resource, for the parameters of its type. */
export function searchKeysOf(resource: JsonObject): SearchKeys {
  const keys = new Map<string, readonly SearchKey[]>();
  const type = resource['resourceType'];
  for (const parameter of typeof type === 'string' ? searchParameters(type) : []) {
    const values = parameter.paths.flatMap((path) => valuesAt(resource, path.split('.')));
    const found = values.flatMap((value) => keysOf(value, parameter));
    if (found.length > 0) keys.set(parameter.name, found);
  }
  return keys;
}

function valuesAt(value: JsonValue | undefined, path: readonly string[]): JsonValue[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item) => valuesAt(item, path));
  const [member, ...rest] = path;
  if (member === undefined) return [value];
  return isJsonObject(value) ? valuesAt(value[member], rest) : [];
}

function keysOf(value: JsonValue, { type }: SearchParameter): SearchKey[] {
  if (type === 'token') return tokensOf(value);
  if (type === 'string') return stringsOf(value);
  return type === 'reference' ? referencesOf(value) : datesOf(value);
}

/** code, boolean, Coding, CodeableConcept, Identifier, ContactPoint. */
function tokensOf(value: JsonValue): SearchKey[] {
  if (typeof value === 'string' || typeof value === 'boolean')
    return [{ kind: 'token', system: '', code: String(value) }];
  if (!isJsonObject(value)) return [];
  if (Array.isArray(value['coding'])) return value['coding'].flatMap(tokensOf);
  const code = value['code'] ?? value['value'];
  if (typeof code !== 'string') return [];
  const system = value['system'];
  return [{ kind: 'token', system: typeof system === 'string' ? system : '', code }];
}

/** Text, and HumanName in every way a person may type it. */
function stringsOf(value: JsonValue): SearchKey[] {
  if (typeof value === 'string') return [stringKey(value)];
  if (!isJsonObject(value)) return [];
  const { family, given, text, name } = value;
  const parts = [family, ...(Array.isArray(given) ? given : [])].filter(isText);
  const joined = parts.join('');
  const spoken = [...parts.slice(1), ...parts.slice(0, 1)].join(' ');
  const words = isText(text) ? [text, ...text.split(/[\s,]+/)] : [];
  const all = [
    ...parts,
    joined,
    parts.join(' '),
    spoken,
    ...words,
    ...(isText(name) ? [name] : []),
  ];
  return [...new Set(all.filter((word) => word !== ''))].map(stringKey);
}

const isText = (value: JsonValue | undefined): value is string => typeof value === 'string';
const stringKey = (exact: string): SearchKey => ({ kind: 'string', folded: fold(exact), exact });

/** Case and accents do not count (FHIR R4, search: string). */
export function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().trim();
}

function referencesOf(value: JsonValue): SearchKey[] {
  const reference = isJsonObject(value) ? value['reference'] : undefined;
  if (typeof reference !== 'string') return [];
  return [{ kind: 'reference', reference: reference.replace(/\/_history\/[^/]+$/, '') }];
}

/** date, dateTime, instant as the range that they cover; Period from start to end. */
function datesOf(value: JsonValue): SearchKey[] {
  if (typeof value === 'string') {
    const range = dateRange(value);
    return range === undefined ? [] : [{ kind: 'date', ...range }];
  }
  if (!isJsonObject(value)) return [];
  const start = isText(value['start']) ? dateRange(value['start']) : undefined;
  const end = isText(value['end']) ? dateRange(value['end']) : undefined;
  if (start === undefined && end === undefined) return [];
  const from = start?.from ?? Number.NEGATIVE_INFINITY;
  return [{ kind: 'date', from, to: end?.to ?? Number.POSITIVE_INFINITY }];
}

const DATE =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

/** The first and last millisecond that a FHIR date covers at its precision, in UTC. */
export function dateRange(text: string): { from: number; to: number } | undefined {
  const match = DATE.exec(text);
  if (match === null) return undefined;
  const [, year = '', month, day, hour, minute = '00', second, fraction = '', zone = 'Z'] = match;
  const start = `${year}-${month ?? '01'}-${day ?? '01'}T${hour ?? '00'}:${minute}:${second ?? '00'}`;
  const from = Date.parse(`${start}${fraction.slice(0, 4)}${zone}`);
  if (Number.isNaN(from)) return undefined;
  const next = new Date(from);
  if (month === undefined) next.setUTCFullYear(next.getUTCFullYear() + 1);
  else if (day === undefined) next.setUTCMonth(next.getUTCMonth() + 1);
  else if (hour === undefined) next.setUTCDate(next.getUTCDate() + 1);
  else if (second === undefined) next.setUTCMinutes(next.getUTCMinutes() + 1);
  else if (fraction === '') next.setUTCSeconds(next.getUTCSeconds() + 1);
  else next.setUTCMilliseconds(next.getUTCMilliseconds() + 1);
  return { from, to: next.getTime() - 1 };
}
