import type { JsonObject, JsonValue } from '@cloister/bytes';

/** What a broker says, as a word for people: without what a terminal would act on. */
export function wordOf(value: JsonValue | undefined): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value.replaceAll(/[^\x20-\x7e]/g, '?') : '?';
}

/** The code of a problem (RFC 9457) that a broker answered with: the finer one, where there is one. */
export function problemCode({ type, reason }: JsonObject): string {
  return wordOf(reason ?? type).replace('urn:cloister:', '');
}
