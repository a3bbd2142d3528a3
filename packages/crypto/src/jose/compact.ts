import {
  decodeBase64url,
  decodeUtf8,
  MalformedError,
  parseJsonObject,
  type JsonObject,
} from '@cloister/bytes';

const MAX_COMPACT = 1_048_576;

/** The parts of a compact serialization (RFC 7515, 7.1; RFC 7516, 7.1): exactly `count`. */
export function splitCompact(compact: string, count: 3 | 5, name: string): readonly string[] {
  if (compact.length > MAX_COMPACT) throw new MalformedError('too_large', name);
  const parts = compact.split('.', count + 1);
  if (parts.length < count) throw new MalformedError('truncated', name);
  if (parts.length > count) throw new MalformedError('trailing_bytes', name);
  return parts;
}

/** Reads a protected header: a JSON object without duplicate names, with an `alg`. */
export function parseHeader(part: string, name: string): JsonObject {
  const where = `${name} header`;
  const text = decodeUtf8(decodeBase64url(part, where), where);
  const header = parseJsonObject(text, where, { maxDepth: 8, maxLength: 65_536 });
  if (typeof header['alg'] !== 'string') throw new MalformedError('bad_value', `${where} alg`);
  return header;
}
