import { PolicyFailure, type Budget } from './budget.ts';
import type { ClaimSet } from './claim-set.ts';
import { callFunction, type CallContext, type Values } from './functions.ts';
import {
  valueTypeOf,
  type ClaimIssuer,
  type ClaimValue,
  type PolicyClaim,
} from './policy-claim.ts';
import type {
  ClaimTemplate,
  Condition,
  Expression,
  Operator,
  PropertyTest,
  Rule,
} from './syntax.ts';
import type { RuleNotes } from './trace.ts';

/** What rules are evaluated in. */
export interface RuleScope extends CallContext {
  readonly incoming: ClaimSet;
  readonly budget: Budget;
}

/** What a condition bound: all claims that matched, and the one whose turn it is. */
interface Binding {
  readonly matches: readonly PolicyClaim[];
  readonly current: PolicyClaim | undefined;
}

/** What a rule came to: whether it fired, and the claims that its action made. */
export interface RuleResult {
  readonly fired: boolean;
  readonly claims: readonly PolicyClaim[];
}

/**
 * Evaluates a rule against the incoming claims (spec/azure-attestation.md 4.4). Its action runs
 * once per combination of the claims that its identifiers bind, except that sets are taken whole.
 */
export function evaluateRule(rule: Rule, scope: RuleScope, notes?: RuleNotes): RuleResult {
  const { conditions, action, iterated } = rule;
  const claims: PolicyClaim[] = [];
  const bindings: Binding[] = [];
  let fired = false;
  const act = (): void => {
    scope.budget.combine();
    fired = true;
    notes?.fired();
    if (!('claim' in action)) return;
    const made =
      typeof action.claim === 'number'
        ? copyClaim(bindings[action.claim]?.current)
        : makeClaims(action.claim, bindings, scope);
    for (const claim of made) {
      if (claim.readOnly && action.verb !== 'add')
        throw new PolicyFailure('policy_failed', `${action.verb}: the value is read-only`);
      claims.push(claim);
      notes?.made(claim);
    }
  };
  const match = (slot: number): void => {
    const condition = conditions[slot];
    if (condition === undefined) {
      act();
      return;
    }
    const matches = findMatches(condition, slot, bindings, scope, notes);
    notes?.matched(slot, matches, condition);
    if (matches.length > 0 === condition.negated) return;
    if (!iterated.has(slot)) {
      bindings[slot] = { matches, current: undefined };
      match(slot + 1);
      return;
    }
    for (const current of matches) {
      scope.budget.combine();
      bindings[slot] = { matches, current };
      match(slot + 1);
    }
  };
  match(0);
  return { fired, claims };
}

function findMatches(
  { tests, type }: Condition,
  slot: number,
  bindings: readonly Binding[],
  scope: RuleScope,
  notes: RuleNotes | undefined,
): PolicyClaim[] {
  const candidates = type === undefined ? scope.incoming.all : scope.incoming.ofType(type);
  scope.budget.spend(1 + candidates.length * tests.length);
  // Operands speak of earlier conditions only: they are the same for all candidates.
  const wanted = tests.map(({ operand }) =>
    operand.kind === 'literal' ? operand.value : single(operand, bindings, scope),
  );
  return candidates.filter((claim) => {
    const failed = tests.find((test, i) => !holds(test, claim, wanted[i]));
    if (failed === undefined) return true;
    if (failed.property !== 'type') notes?.missed(slot, claim, failed.text);
    return false;
  });
}

function holds(
  { property, operator }: PropertyTest,
  claim: PolicyClaim,
  wanted: ClaimValue | undefined,
): boolean {
  return compare(claim[property], operator, wanted);
}

/**
 * Texts and booleans are equal or not, integers also ordered. Values of different types are
 * neither equal nor unequal: no condition matches by them (4.4).
 */
function compare(found: ClaimValue, operator: Operator, wanted: ClaimValue | undefined): boolean {
  if (wanted === undefined || typeof found !== typeof wanted) return false;
  if (operator === '==') return found === wanted;
  if (operator === '!=') return found !== wanted;
  if (typeof found !== 'number' || typeof wanted !== 'number') return false;
  const order = Math.sign(found - wanted);
  if (order === 0) return operator === '<=' || operator === '>=';
  return operator.startsWith(order < 0 ? '<' : '>');
}

/** A copy keeps type and value; it is the policy's own (4.4). */
function copyClaim(claim: PolicyClaim | undefined): readonly PolicyClaim[] {
  return claim === undefined ? [] : [{ ...claim, issuer: 'AttestationPolicy' }];
}

/** One claim per value: none for null, several for an array (4.5). */
function makeClaims(
  template: ClaimTemplate,
  bindings: readonly Binding[],
  scope: RuleScope,
): readonly PolicyClaim[] {
  const type = single(template.type, bindings, scope);
  if (typeof type !== 'string' || type === '')
    throw new PolicyFailure('policy_failed', 'the type of a claim is no text');
  const issuer = issuerOf(template, bindings, scope);
  const { values, readOnly } = evaluate(template.value, bindings, scope);
  const stated = template.valueType && single(template.valueType, bindings, scope);
  return values.map((value) => {
    const valueType = valueTypeOf(value);
    if (stated !== undefined && stated !== valueType)
      throw new PolicyFailure('policy_failed', `the value is no ${valueType}`);
    return { type, value, valueType, issuer, readOnly };
  });
}

function issuerOf(
  { issuer }: ClaimTemplate,
  bindings: readonly Binding[],
  scope: RuleScope,
): ClaimIssuer {
  if (issuer === undefined) return 'AttestationPolicy';
  const name = single(issuer, bindings, scope);
  if (name !== 'AttestationPolicy' && name !== 'CustomClaim')
    throw new PolicyFailure('policy_failed', 'a policy issues as AttestationPolicy or CustomClaim');
  return name;
}

/** The one value of an expression that stands where one is wanted; undefined where it has none. */
function single(
  expression: Expression,
  bindings: readonly Binding[],
  scope: RuleScope,
): ClaimValue | undefined {
  const { values } = evaluate(expression, bindings, scope);
  if (values.length > 1)
    throw new PolicyFailure('policy_failed', 'several values stand where one is wanted');
  return values[0];
}

function evaluate(expression: Expression, bindings: readonly Binding[], scope: RuleScope): Values {
  if (expression.kind === 'literal') return { values: [expression.value], readOnly: false };
  if (expression.kind === 'call') {
    const args = expression.args.map((arg) => evaluate(arg, bindings, scope));
    return callFunction(expression.name, args, scope);
  }
  const { slot, property, set } = expression;
  const binding = bindings[slot];
  const claims = (set ? binding?.matches : binding?.current && [binding.current]) ?? [];
  scope.budget.spend(claims.length);
  return {
    values: claims.map((claim) => claim[property]),
    readOnly: property === 'value' && claims.some(({ readOnly }) => readOnly),
  };
}
