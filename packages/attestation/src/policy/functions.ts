import { MalformedError, parseJson, type JsonValue } from '@cloister/bytes';
import { PolicyFailure, type Budget } from './budget.ts';
import type { JmesPath } from './jmespath.ts';
import type { ClaimValue } from './policy-claim.ts';

/** The functions of version 1.2 (spec/azure-attestation.md 4.5). */
export type FunctionName =
  | 'JmesPath'
  | 'JsonToClaimValue'
  | 'IsSubsetOf'
  | 'AppendString'
  | 'NegateBool'
  | 'ContainsOnlyValue';

/** Values with what they inherit: from a read-only claim, nothing may be issued. */
export interface Values {
  readonly values: readonly ClaimValue[];
  readonly readOnly: boolean;
}

/** What a function gets besides its arguments. */
export interface CallContext {
  readonly budget: Budget;
  readonly jmesPath: JmesPath | undefined;
}

/** A function: the kinds of its parameters, in their order, and what it does. */
export interface PolicyFunction {
  readonly parameters: readonly Parameter[];
  /** The results of set tests may always be issued. */
  readonly writable: boolean;
  readonly call: (args: readonly Values[], context: CallContext) => readonly ClaimValue[];
}

/** `set` takes all claims of an identifier at once; the others take one value of their type. */
export type Parameter = 'set' | 'any' | 'string' | 'boolean';

const JSON_LIMITS = { maxDepth: 64, maxLength: 1 << 20 };

/** All functions by name. */
export const FUNCTIONS: Readonly<Record<FunctionName, PolicyFunction>> = {
  JmesPath: { parameters: ['string', 'string'], writable: false, call: callJmesPath },
  JsonToClaimValue: { parameters: ['string'], writable: false, call: callJsonToClaimValue },
  IsSubsetOf: {
    parameters: ['set', 'set'],
    writable: true,
    call: ([a = NONE, b = NONE], { budget }) => {
      budget.spend(a.values.length + b.values.length);
      const all = new Set(b.values);
      return [a.values.every((value) => all.has(value))];
    },
  },
  AppendString: {
    parameters: ['string', 'string'],
    writable: false,
    call: ([a = NONE, b = NONE], { budget }) => {
      const [head, tail] = [textOf(a), textOf(b)];
      budget.spendText(head.length + tail.length);
      return [head + tail];
    },
  },
  NegateBool: {
    parameters: ['boolean'],
    writable: false,
    call: ([given = NONE]) => [given.values[0] !== true],
  },
  ContainsOnlyValue: {
    parameters: ['set', 'any'],
    writable: true,
    call: ([set = NONE, only = NONE], { budget }) => {
      budget.spend(set.values.length);
      return [set.values.length > 0 && set.values.every((value) => value === only.values[0])];
    },
  },
};

const NONE: Values = { values: [], readOnly: false };

/** Whether a name is a function's. */
export function isFunctionName(name: string): name is FunctionName {
  return Object.hasOwn(FUNCTIONS, name);
}

/** Calls a function; its result is read-only if an argument is, unless it is a set test. */
export function callFunction(
  name: FunctionName,
  args: readonly Values[],
  context: CallContext,
): Values {
  const { parameters, writable, call } = FUNCTIONS[name];
  for (const [i, parameter] of parameters.entries()) {
    const { values } = args[i] ?? NONE;
    if (parameter === 'set') continue;
    if (values.length !== 1) throw failure(name, `argument ${i + 1} is not one value`);
    if (parameter !== 'any' && typeof values[0] !== parameter)
      throw failure(name, `argument ${i + 1} is no ${parameter}`);
  }
  context.budget.spend(1);
  const values = call(args, context);
  return { values, readOnly: !writable && args.some(({ readOnly }) => readOnly) };
}

function callJmesPath(
  [json = NONE, query = NONE]: readonly Values[],
  { budget, jmesPath }: CallContext,
): readonly ClaimValue[] {
  const expression = textOf(query);
  if (expression === '') throw failure('JmesPath', 'the query is empty');
  if (jmesPath === undefined) throw failure('JmesPath', 'there is no JMESPath here');
  const found = jmesPath.search(readJson('JmesPath', textOf(json), budget), expression, budget);
  const text = JSON.stringify(found);
  budget.spendText(text.length);
  return [text];
}

/** One value, or the elements of an array; null is no value at all (4.5). */
function callJsonToClaimValue(
  [json = NONE]: readonly Values[],
  { budget }: CallContext,
): readonly ClaimValue[] {
  const value = readJson('JsonToClaimValue', textOf(json), budget);
  if (value === null) return [];
  if (!Array.isArray(value)) return [claimValue(value)];
  budget.spend(value.length);
  const values = value.map(claimValue);
  if (values.some((one) => typeof one !== typeof values[0]))
    throw failure('JsonToClaimValue', 'the elements of the array are of different types');
  return values;
}

function claimValue(value: JsonValue): ClaimValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  const what = typeof value === 'number' ? 'a number that is no integer' : 'an object or array';
  throw failure('JsonToClaimValue', `${what} is no claim's value`);
}

function readJson(name: FunctionName, text: string, budget: Budget): JsonValue {
  budget.spendText(text.length);
  try {
    return parseJson(text, 'JSON', JSON_LIMITS);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw failure(name, 'the text is not JSON');
  }
}

function textOf({ values }: Values): string {
  return String(values[0] ?? '');
}

function failure(name: FunctionName, what: string): PolicyFailure {
  return new PolicyFailure('policy_failed', `${name}: ${what}`);
}
