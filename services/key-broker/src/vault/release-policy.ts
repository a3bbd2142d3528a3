import {
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';

/** One condition of a policy: on a claim, or on several conditions. */
export type Condition =
  | { readonly anyOf: readonly Condition[] }
  | { readonly allOf: readonly Condition[] }
  | {
      readonly claim: string;
      readonly operator: Operator;
      readonly value: string | number | boolean;
    };

/** What one authority's tokens must say. */
export interface AuthorityRule {
  readonly authority: string;
  readonly condition: Condition;
}

/** A release policy in the grammar of Azure Key Vault, version 1.0.0. */
export interface ReleasePolicy {
  readonly anyOf: readonly AuthorityRule[];
}

const OPERATORS = [
  'equals',
  'notEquals',
  'less',
  'lessOrEquals',
  'greater',
  'greaterOrEquals',
  'exists',
] as const;
type Operator = (typeof OPERATORS)[number];

const NAME = 'release policy';
const MAX_LENGTH = 64 * 1024;

/**
 * Reads a release policy (spec/key-broker.md 2.5). Strict: a member that is not of the grammar could
 * be a condition that was meant, so it is refused with a MalformedError.
 */
export function parseReleasePolicy(text: string): ReleasePolicy {
  const policy = parseJsonObject(text, NAME, { maxDepth: 32, maxLength: MAX_LENGTH });
  const { version, anyOf, ...rest } = policy;
  if (version !== '1.0.0' || Object.keys(rest).length > 0) fail('version');
  return {
    anyOf: listOf(anyOf, 'anyOf').map((item) => {
      const { authority, ...condition } = objectOf(item, 'authority');
      if (typeof authority !== 'string' || !/^https?:\/\/[^\s?#]{1,512}$/.test(authority))
        return fail('authority');
      if (!('anyOf' in condition) && !('allOf' in condition)) return fail('authority');
      return { authority: withoutSlash(authority), condition: readCondition(condition) };
    }),
  };
}

/** Whether a verified token of this issuer satisfies the policy: one authority, all of its rule. */
export function satisfies(policy: ReleasePolicy, issuer: string, claims: JsonObject): boolean {
  return policy.anyOf.some(
    ({ authority, condition }) => authority === withoutSlash(issuer) && holds(condition, claims),
  );
}

function readCondition(object: JsonObject): Condition {
  const names = Object.keys(object);
  if ('anyOf' in object || 'allOf' in object) {
    if (names.length !== 1) return fail('condition');
    const of = 'anyOf' in object ? 'anyOf' : 'allOf';
    const conditions = listOf(object[of], of).map((item) => readCondition(objectOf(item, of)));
    return of === 'anyOf' ? { anyOf: conditions } : { allOf: conditions };
  }
  const { claim, ...test } = object;
  const [[operator, value] = ['', null]] = Object.entries(test);
  const known = OPERATORS.find((one) => one === operator);
  if (typeof claim !== 'string' || claim === '' || names.length !== 2) return fail('claim');
  if (known === undefined || !isScalar(value)) return fail('operator');
  return { claim, operator: known, value };
}

function holds(condition: Condition, claims: JsonObject): boolean {
  if ('anyOf' in condition) return condition.anyOf.some((one) => holds(one, claims));
  if ('allOf' in condition) return condition.allOf.every((one) => holds(one, claims));
  const { operator, value } = condition;
  const found = lookUp(claims, condition.claim);
  if (operator === 'exists') return (found !== undefined) === (String(value) === 'true');
  // A claim that is not there satisfies nothing, `notEquals` neither.
  if (!isScalar(found)) return false;
  if (operator === 'equals') return isSame(found, value);
  if (operator === 'notEquals') return !isSame(found, value);
  if (typeof found !== 'number' || typeof value !== 'number') return false;
  if (operator === 'less') return found < value;
  if (operator === 'lessOrEquals') return found <= value;
  return operator === 'greater' ? found > value : found >= value;
}

/** Policies may write booleans as texts: the grammar knows them as `"true"` and `"false"`. */
function isSame(found: string | number | boolean, value: string | number | boolean): boolean {
  return found === value || (typeof found === 'boolean' && String(found) === value);
}

/** A claim by its name, or by a path with dots (`x-ms-runtime.vm-configuration.secure-boot`). */
function lookUp(claims: JsonObject, path: string): JsonValue | undefined {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: JsonValue | undefined = claims;
  for (const step of path.split('.')) {
    if (!isJsonObject(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function listOf(value: JsonValue | undefined, where: string): readonly JsonValue[] {
  return Array.isArray(value) && value.length > 0 && value.length <= 256 ? value : fail(where);
}

function objectOf(value: JsonValue, where: string): JsonObject {
  return isJsonObject(value) ? value : fail(where);
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '');
}

function fail(where: string): never {
  throw new MalformedError('bad_value', `${NAME}: ${where}`);
}
