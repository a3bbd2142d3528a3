import { isJsonObject, type JsonValue } from '@cloister/bytes';
import { PolicyFailure, type Budget } from './budget.ts';

/** JMESPath with bounded work; see `boundJmesPath`. */
export interface JmesPath {
  /** What is wrong with a query; undefined where nothing is. */
  check(query: string): string | undefined;
  /** What a query finds; null where it finds nothing. Throws PolicyFailure. */
  search(value: JsonValue, query: string, budget: Budget): JsonValue;
}

/** A node of a query, as `@jmespath-community/jmespath` parses it; of most only the type counts. */
interface QueryNode {
  readonly type: string;
  readonly name?: unknown;
  readonly left?: unknown;
  readonly right?: unknown;
}

interface Interpreter {
  visit(node: QueryNode, value: unknown): unknown;
  readonly runtime: {
    registerFunction(
      name: string,
      call: (args: never[]) => never,
      signature: never[],
      options: { override: boolean },
    ): void;
  };
}

/** What is used of the library `@jmespath-community/jmespath`; callers hand over its module. */
export interface JmesPathLibrary {
  compile(query: string): unknown;
  readonly TreeInterpreter: object;
}

const MAX_QUERY = 4096;
const MAX_DEPTH = 64;
const KEPT = 256;
/** What it costs to copy a value into the result, against looking at one. */
const WRITING = 3;
/** The nodes of JMESPath itself: the library's extensions (let, arithmetic, …) are left out. */
const NODES: ReadonlySet<string> = new Set([
  'Field',
  'Subexpression',
  'IndexExpression',
  'Index',
  'Slice',
  'Projection',
  'ValueProjection',
  'FilterProjection',
  'Comparator',
  'Flatten',
  'MultiSelectList',
  'MultiSelectHash',
  'KeyValuePair',
  'OrExpression',
  'AndExpression',
  'NotExpression',
  'Literal',
  'Pipe',
  'Function',
  'ExpressionReference',
  'Current',
  'Identity',
]);
/** Its functions, whose work is bounded by what they read, and the one of Azure Attestation. */
const FUNCTIONS: ReadonlySet<unknown> = new Set([
  'abs',
  'avg',
  'ceil',
  'contains',
  'ends_with',
  'floor',
  'join',
  'keys',
  'length',
  'map',
  'max',
  'max_by',
  'merge',
  'min',
  'min_by',
  'not_null',
  'reverse',
  'sort',
  'sort_by',
  'starts_with',
  'sum',
  'to_array',
  'to_number',
  'to_string',
  'type',
  'values',
  'equals_ignore_case',
]);

/**
 * JMESPath for policies (spec/azure-attestation.md 4.5): the library parses and interprets, and
 * this pays from the policy's budget for each step it makes and each value it looks at. Queries
 * have the standard nodes and functions and `equals_ignore_case`; names find own members only.
 */
export function boundJmesPath(library: JmesPathLibrary): JmesPath {
  const queries = new Map<string, QueryNode | PolicyFailure>();
  const compile = (query: string): QueryNode => {
    const known = queries.get(query) ?? compileQuery(library, query);
    queries.delete(query);
    queries.set(query, known);
    const [oldest] = queries.keys();
    if (queries.size > KEPT && oldest !== undefined) queries.delete(oldest);
    if (known instanceof PolicyFailure) throw known;
    return known;
  };
  const evaluate = createEvaluator(library);
  return {
    check: (query) => {
      const result = compileQuery(library, query);
      return result instanceof PolicyFailure ? result.message : undefined;
    },
    search: (value, query, budget) => evaluate(compile(query), value, budget),
  };
}

function compileQuery(library: JmesPathLibrary, query: string): QueryNode | PolicyFailure {
  if (query.length > MAX_QUERY) return refusal(`a query is longer than ${MAX_QUERY} characters`);
  let node: unknown;
  try {
    node = library.compile(query);
  } catch (error) {
    // The library throws plain errors, and overflows the stack on thousands of brackets.
    return refusal(error instanceof Error ? error.message : 'it cannot be read');
  }
  const problem = findStranger(node, 0);
  if (problem !== undefined) return refusal(problem);
  return isQueryNode(node) ? node : refusal('it cannot be read');
}

/** The first node that is none of JMESPath's own, in plain words. */
function findStranger(node: unknown, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return 'it is too deeply nested';
  if (Array.isArray(node)) {
    for (const child of node) {
      const problem = findStranger(child, depth + 1);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  if (typeof node !== 'object' || node === null) return undefined;
  if (isQueryNode(node)) {
    if (node.type === 'Literal') return undefined;
    if (node.type === 'Function' && !FUNCTIONS.has(node.name))
      return `there is no function ${String(node.name)}`;
    // Pairs of a hash have no type of their own in some versions: members are looked at alike.
    if (!NODES.has(node.type)) return `${node.type} is no part of JMESPath`;
  }
  return findStranger(Object.values(node), depth);
}

function isQueryNode(node: unknown): node is QueryNode {
  return (
    typeof node === 'object' && node !== null && 'type' in node && typeof node.type === 'string'
  );
}

/** An interpreter of the library's kind whose every step is paid for. */
function createEvaluator(
  library: JmesPathLibrary,
): (node: QueryNode, value: JsonValue, budget: Budget) => JsonValue {
  let paying: Budget | undefined;
  const spend = (steps: number): void => paying?.spend(steps);
  // A fresh one: its functions call back into it, and not into the library's shared instance.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library exports no class
  const kind = library.TreeInterpreter.constructor as new () => Interpreter;
  const interpreter = new kind();
  const plain = interpreter.visit.bind(interpreter);
  const visit = (node: QueryNode, value: unknown): unknown => {
    spend(1);
    if (node.type === 'Field') return ownMember(value, node.name);
    if (node.type === 'Comparator' && (node.name === 'EQ' || node.name === 'NE')) {
      const [left, right] = [visitChild(node.left, value), visitChild(node.right, value)];
      return isEqual(left, right, spend) === (node.name === 'EQ');
    }
    const result = plain(node, value);
    spend(sizeOf(result));
    return result;
  };
  const visitChild = (node: unknown, value: unknown): unknown =>
    isQueryNode(node) ? visit(node, value) : null;
  interpreter.visit = visit;
  registerFunctions(interpreter, spend);
  return (node, value, budget) => {
    paying = budget;
    try {
      const result = interpreter.visit(node, value) ?? null;
      return toJson(result, (steps) => budget.spend(steps), 0);
    } catch (error) {
      if (error instanceof PolicyFailure) throw error;
      throw refusal(error instanceof Error ? error.message : 'it cannot be evaluated');
    } finally {
      paying = undefined;
    }
  };
}

function registerFunctions({ runtime }: Interpreter, spend: (steps: number) => void): void {
  const STRING = 2;
  const ANY = 1;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library's types are its own
  const register = runtime.registerFunction.bind(runtime) as unknown as (
    name: string,
    call: (args: readonly unknown[]) => unknown,
    signature: readonly { types: readonly number[] }[],
    options: { override: boolean },
  ) => void;
  register(
    'equals_ignore_case',
    ([a, b]) => String(a).toLowerCase() === String(b).toLowerCase(),
    [{ types: [STRING] }, { types: [STRING] }],
    { override: true },
  );
  // The library's own would write out shared parts without end.
  register(
    'to_string',
    ([value]) => (typeof value === 'string' ? value : JSON.stringify(toJson(value, spend, 0))),
    [{ types: [ANY] }],
    { override: true },
  );
}

function ownMember(value: unknown, name: unknown): unknown {
  if (!isJsonObject(value) || typeof name !== 'string' || !Object.hasOwn(value, name)) return null;
  return value[name] ?? null;
}

/** What a result costs by its own size, without what its parts hold. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length >> 6;
  return Array.isArray(value) ? value.length : 0;
}

function isEqual(a: unknown, b: unknown, spend: (steps: number) => void): boolean {
  spend(1);
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((one, i) => isEqual(one, b[i], spend));
  if (!isJsonObject(a) || !isJsonObject(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isEqual(a[name], b[name], spend))
  );
}

/** The result as JSON and nothing else, each part paid for, shared ones each time. */
function toJson(value: unknown, spend: (steps: number) => void, depth: number): JsonValue {
  spend(WRITING + sizeOf(value));
  if (depth > 2 * MAX_DEPTH) throw refusal('the result is too deeply nested');
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map((one) => toJson(one, spend, depth + 1));
  if (!isJsonObject(value)) return null;
  if (Object.hasOwn(value, 'expref')) throw refusal('the result is an expression');
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, toJson(one, spend, depth + 1)]),
  );
}

function refusal(problem: string): PolicyFailure {
  return new PolicyFailure('policy_failed', `JmesPath: ${problem}`);
}
