import { FUNCTIONS, isFunctionName, type Parameter } from './functions.ts';
import { PROPERTIES, type Expression, type PolicyVersion } from './syntax.ts';
import type { PolicyToken } from './scan-policy.ts';
import type { TokenStream } from './token-stream.ts';

/** The identifiers of a rule: which condition binds each, and how they are used. */
export class Bindings {
  readonly #slots = new Map<string, number>();
  readonly #iterated = new Set<number>();
  #conditions = 0;

  has(identifier: string): boolean {
    return this.#slots.has(identifier);
  }

  /** A condition is complete; from here on its identifier may be used. */
  bind(identifier: string | undefined): void {
    if (identifier !== undefined) this.#slots.set(identifier, this.#conditions);
    this.#conditions += 1;
  }

  /** The slot of an identifier that is used, as a whole set or claim by claim. */
  use(identifier: string, set: boolean): number | undefined {
    const slot = this.#slots.get(identifier);
    if (slot !== undefined && !set) this.#iterated.add(slot);
    return slot;
  }

  /** The slots whose claims are used one by one. */
  get iterated(): ReadonlySet<number> {
    return this.#iterated;
  }
}

/** What an expression is read with. */
export interface ExpressionContext {
  readonly tokens: TokenStream;
  /** The policy's text. */
  readonly text: string;
  readonly version: PolicyVersion;
  readonly bindings: Bindings;
  readonly checkQuery: (query: string) => string | undefined;
}

/** Reads an expression that stands where a value of this kind is wanted. */
export function parseExpression(context: ExpressionContext, wanted: Parameter): Expression {
  const { tokens } = context;
  return tokens.within('expression', () => {
    const token = tokens.next;
    if (token.kind === 'string') return { kind: 'literal', value: tokens.take().value };
    if (token.kind === 'integer' || tokens.sees('-')) return parseInteger(tokens);
    if (token.kind !== 'name') throw tokens.unexpected('literal, identifier, function');
    tokens.take();
    if (token.text === 'true' || token.text === 'false')
      return { kind: 'literal', value: token.text === 'true' };
    return tokens.sees('(') ? parseCall(context, token) : parseReference(context, token, wanted);
  });
}

function parseInteger(tokens: TokenStream): Expression {
  const negative = tokens.accept('-');
  const digits = tokens.expectKind('integer');
  const value = Number(digits.text) * (negative ? -1 : 1);
  if (!Number.isSafeInteger(value)) throw tokens.wrong('the integer is too large', digits);
  // `-0` is 0.
  return { kind: 'literal', value: value + 0 };
}

function parseReference(
  { tokens, bindings }: ExpressionContext,
  name: PolicyToken,
  wanted: Parameter,
): Expression {
  tokens.expect('.');
  const { kind, text } = tokens.next;
  const property = PROPERTIES.find((one) => one === text);
  if (kind !== 'name' || property === undefined)
    throw tokens.unexpected(PROPERTIES.map((one) => `'${one}'`).join(', '));
  tokens.take();
  const set = wanted === 'set';
  const slot = bindings.use(name.text, set);
  if (slot === undefined)
    throw tokens.wrong(`the identifier ${name.text} is not bound by a condition before`, name);
  return { kind: 'property', slot, property, set };
}

function parseCall(context: ExpressionContext, name: PolicyToken): Expression {
  const { tokens, version } = context;
  if (version !== '1.2') throw tokens.wrong('functions are there from version 1.2 on', name);
  if (!isFunctionName(name.text)) throw tokens.wrong(`there is no function ${name.text}`, name);
  const { parameters } = FUNCTIONS[name.text];
  const args: Expression[] = [];
  tokens.within('function', () => {
    tokens.expect('(');
    for (const [i, parameter] of parameters.entries()) {
      if (i > 0) tokens.expect(',');
      const token = tokens.next;
      const arg = parseExpression(context, parameter);
      checkLiteral(context, arg, parameter, token);
      args.push(arg);
    }
    const query = args[1];
    if (name.text === 'JmesPath' && query?.kind === 'literal')
      checkQuery(context, String(query.value));
    tokens.expect(')');
  });
  const { line, column } = name;
  return { kind: 'call', name: name.text, args, place: { line, column } };
}

function checkLiteral(
  { tokens }: ExpressionContext,
  arg: Expression,
  parameter: Parameter,
  token: PolicyToken,
): void {
  if (arg.kind !== 'literal' || parameter === 'any' || parameter === 'set') return;
  if (typeof arg.value !== parameter) throw tokens.wrong(`a ${parameter} is expected here`, token);
}

function checkQuery({ tokens, checkQuery: check }: ExpressionContext, query: string): void {
  const problem = query === '' ? 'it is empty' : check(query);
  if (problem !== undefined)
    throw tokens.wrong(`the JMESPath query is invalid: ${problem}`, tokens.last);
}
