import { Bindings, parseExpression, type ExpressionContext } from './parse-expression.ts';
import { valueTypeOf } from './policy-claim.ts';
import {
  PROPERTIES,
  type Action,
  type ClaimTemplate,
  type Condition,
  type Expression,
  type Operator,
  type Property,
  type PropertyTest,
  type Rule,
  type SectionName,
} from './syntax.ts';

/** What a rule is read with. */
export type RuleContext = Omit<ExpressionContext, 'bindings'> & { readonly section: SectionName };

type Context = ExpressionContext & { readonly section: SectionName };

const MAX_CONDITIONS = 64;
const MAX_TESTS = 64;
/** A single `=` stands for `==` in conditions, as in the documentation (4.1). */
const OPERATORS: Readonly<Record<string, Operator>> = {
  '=': '==',
  '==': '==',
  '!=': '!=',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

/** Which verbs each section has (spec/azure-attestation.md 4.3). */
const VERBS: Readonly<Record<SectionName, readonly Action['verb'][]>> = {
  configurationrules: ['issueproperty'],
  authorizationrules: ['permit', 'deny', 'add'],
  issuancerules: ['add', 'issue', 'issueproperty'],
};

/** The issuers that a policy may name for a claim of its own: not the service. */
const OWN_ISSUERS: readonly unknown[] = ['AttestationPolicy', 'CustomClaim'];
const VALUE_TYPES: readonly unknown[] = ['String', 'Integer', 'Boolean'];

/** Reads one rule: conditions, `=>`, an action, `;`. */
export function parseRule(given: RuleContext): Rule {
  const { tokens, text, section } = given;
  const bindings = new Bindings();
  const context = { ...given, bindings };
  const { start, line, column } = tokens.next;
  const conditions: Condition[] = [];
  if (!tokens.sees('=>'))
    do {
      if (conditions.length >= MAX_CONDITIONS)
        throw tokens.wrong(`a rule has at most ${MAX_CONDITIONS} conditions`);
      conditions.push(tokens.within('condition', () => parseCondition(context)));
    } while (tokens.accept('&&'));
  if (!tokens.sees('=>')) throw tokens.unexpected(conditions.length === 0 ? "'=>'" : "'&&', '=>'");
  tokens.take();
  const action = tokens.within('action', () => parseAction(context));
  const { end } = tokens.expect(';');
  const iterated = bindings.iterated;
  return { section, conditions, action, iterated, line, column, text: text.slice(start, end) };
}

function parseCondition(context: Context): Condition {
  const { tokens, text, version, bindings } = context;
  const { start } = tokens.next;
  const negated = tokens.sees('!');
  if (negated && version !== '1.2') throw tokens.wrong("'!' is there from version 1.2 on");
  if (negated) tokens.take();
  let identifier: string | undefined;
  if (tokens.next.kind === 'name') {
    const name = tokens.take();
    if (negated) throw tokens.wrong('a negated condition binds no identifier', name);
    if (bindings.has(name.text))
      throw tokens.wrong(`the identifier ${name.text} is bound twice`, name);
    tokens.expect(':');
    identifier = name.text;
  }
  if (!tokens.sees('['))
    throw tokens.unexpected(identifier === undefined ? "identifier, '['" : "'['");
  tokens.take();
  const tests: PropertyTest[] = [];
  if (!tokens.sees(']'))
    do {
      if (tests.length >= MAX_TESTS)
        throw tokens.wrong(`a condition has at most ${MAX_TESTS} parts`);
      tests.push(tokens.within('propertyCondition', () => parseTest(context)));
    } while (tokens.accept(','));
  if (!tokens.sees(']')) throw tokens.unexpected(tests.length === 0 ? "property, ']'" : "',', ']'");
  const { end } = tokens.take();
  // Only now: what stands inside cannot speak of what the condition itself binds.
  bindings.bind(identifier);
  return { negated, identifier, tests, type: typeOf(tests), text: text.slice(start, end) };
}

/** The type that a claim must have, where one test says so outright. */
function typeOf(tests: readonly PropertyTest[]): string | undefined {
  for (const { property, operator, operand } of tests)
    if (property === 'type' && operator === '==' && operand.kind === 'literal')
      return typeof operand.value === 'string' ? operand.value : undefined;
  return undefined;
}

function parseTest(context: Context): PropertyTest {
  const { tokens, text } = context;
  const { start } = tokens.next;
  const property = parseProperty(context);
  const symbol = tokens.next;
  const operator = symbol.kind === 'symbol' ? OPERATORS[symbol.text] : undefined;
  if (operator === undefined) throw tokens.unexpected("'==', '!=', '<', '<=', '>', '>='");
  tokens.take();
  const operand = parseExpression(context, 'any');
  return { property, operator, operand, text: text.slice(start, tokens.last.end) };
}

function parseProperty({ tokens }: Context): Property {
  const { kind, text } = tokens.next;
  const property = PROPERTIES.find((name) => name === text);
  if (kind !== 'name' || property === undefined)
    throw tokens.unexpected(PROPERTIES.map((name) => `'${name}'`).join(', '));
  tokens.take();
  return property;
}

function parseAction(context: Context): Action {
  const { tokens, section } = context;
  const allowed = VERBS[section];
  const { kind, text } = tokens.next;
  const verb = allowed.find((name) => name === text);
  if (kind !== 'name' || verb === undefined)
    throw tokens.unexpected(allowed.map((name) => `'${name}'`).join(', '));
  tokens.take();
  tokens.expect('(');
  if (verb === 'permit' || verb === 'deny') {
    tokens.expect(')');
    return { verb };
  }
  const claim = tokens.within('claim', () =>
    tokens.next.kind === 'name' && tokens.next.text === 'claim'
      ? parseCopy(context)
      : parseTemplate(context),
  );
  tokens.expect(')');
  return { verb, claim };
}

/** `claim = identifier`: the slot of the claims that are copied. */
function parseCopy({ tokens, bindings }: Context): number {
  tokens.take();
  tokens.expect('=');
  const name = tokens.expectKind('name');
  const slot = bindings.use(name.text, false);
  if (slot === undefined) throw tokens.wrong(`the identifier ${name.text} is not bound`, name);
  return slot;
}

function parseTemplate(context: Context): ClaimTemplate {
  const { tokens } = context;
  const parts: Partial<Record<Property, Expression>> = {};
  do {
    const token = tokens.next;
    const property = parseProperty(context);
    if (parts[property] !== undefined) throw tokens.wrong(`${property} is given twice`, token);
    tokens.expect('=');
    parts[property] = parseExpression(context, 'any');
  } while (tokens.accept(','));
  const { type, value, valueType, issuer } = parts;
  if (type === undefined || value === undefined)
    throw tokens.unexpected(type === undefined ? "',', 'type'" : "',', 'value'");
  if (type.kind === 'literal' && typeof type.value !== 'string')
    throw tokens.wrong('the type of a claim is a string', tokens.last);
  checkTypeOfValue(context, value, valueType);
  if (issuer?.kind === 'literal' && !OWN_ISSUERS.includes(issuer.value))
    throw tokens.wrong('a policy issues as AttestationPolicy or CustomClaim', tokens.last);
  return {
    type,
    value,
    ...(valueType === undefined ? {} : { valueType }),
    ...(issuer === undefined ? {} : { issuer }),
  };
}

/** A valueType follows from the value; one that is written must say the same. */
function checkTypeOfValue(
  { tokens }: Context,
  value: Expression,
  valueType: Expression | undefined,
): void {
  if (valueType?.kind !== 'literal') return;
  if (!VALUE_TYPES.includes(valueType.value))
    throw tokens.wrong('the valueType is String, Integer or Boolean', tokens.last);
  if (value.kind === 'literal' && valueTypeOf(value.value) !== valueType.value)
    throw tokens.wrong('the value is not of this valueType', tokens.last);
}
