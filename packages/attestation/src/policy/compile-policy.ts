import { Budget, PolicyFailure } from './budget.ts';
import { ClaimSet } from './claim-set.ts';
import { evaluateRule, type RuleScope } from './evaluate-rule.ts';
import type { JmesPath } from './jmespath.ts';
import { parsePolicy } from './parse-policy.ts';
import type { ClaimValue, PolicyClaim } from './policy-claim.ts';
import type { PolicySyntax, PolicyVersion, Rule, SectionName } from './syntax.ts';
import { RuleNotes, type RuleTrace } from './trace.ts';

/** Claims that a policy issued, by type; several of one type are an array. */
export type IssuedClaims = Readonly<Record<string, ClaimValue | ClaimValue[]>>;

/** Why a policy did not let evidence pass. */
export type PolicyRefusalCode =
  | 'policy_denied'
  | 'policy_not_permitted'
  | 'policy_failed'
  | 'policy_too_costly';

/** What a policy says about claims. */
export type PolicyOutcome =
  | {
      readonly ok: true;
      /** What goes into the token. */
      readonly issued: IssuedClaims;
      /** What `issueproperty` set, in configurationrules and issuancerules. */
      readonly properties: IssuedClaims;
      /** Rule by rule; only where it was asked for. */
      readonly trace?: readonly RuleTrace[];
    }
  | {
      readonly ok: false;
      readonly code: PolicyRefusalCode;
      /** In Azure Attestation's words (spec/azure-attestation.md 1.5). */
      readonly message: string;
      readonly trace?: readonly RuleTrace[];
    };

/** A policy that was read once, and is evaluated as often as evidence comes. */
export interface CompiledPolicy {
  readonly version: PolicyVersion;
  readonly text: string;
  readonly ruleCount: number;
  /** What the configurationrules set. */
  configure(incoming: readonly PolicyClaim[]): PolicyOutcome;
  /** What the whole policy says; `explain` adds what came of each rule. */
  evaluate(
    incoming: readonly PolicyClaim[],
    options?: { readonly explain?: boolean },
  ): PolicyOutcome;
}

const ENGINE = 'Policy Engine Exception:';
const DENIED = `${ENGINE} A Deny claim was issued, authorization failed.`;
const NOT_PERMITTED = `${ENGINE} No Permit claim was issued in the authorizationrules section, authorization failed.`;

/**
 * Reads a policy (spec/azure-attestation.md 4). Throws PolicyParsingError. The policy's work is
 * bounded whatever its text says: evaluation then answers `policy_too_costly`.
 */
export function compilePolicy(
  text: string,
  { jmesPath }: { readonly jmesPath?: JmesPath } = {},
): CompiledPolicy {
  const syntax = parsePolicy(text, jmesPath && ((query) => jmesPath.check(query)));
  const { version, rules } = syntax;
  return {
    version,
    text,
    ruleCount: Object.values(rules).reduce((sum, { length }) => sum + length, 0),
    configure: (incoming) =>
      guard(undefined, (trace) => {
        const run = new Run(syntax, incoming, jmesPath, trace);
        run.section('configurationrules');
        return run.result();
      }),
    evaluate: (incoming, { explain = false } = {}) =>
      guard(explain ? [] : undefined, (trace) => {
        const run = new Run(syntax, incoming, jmesPath, trace);
        run.section('configurationrules');
        const refusal = run.authorize();
        if (refusal !== undefined) return refusal;
        run.section('issuancerules');
        return run.result();
      }),
  };
}

function guard(
  trace: RuleTrace[] | undefined,
  evaluate: (trace: RuleTrace[] | undefined) => PolicyOutcome,
): PolicyOutcome {
  const traced = trace === undefined ? {} : { trace };
  try {
    return { ...evaluate(trace), ...traced };
  } catch (error) {
    if (!(error instanceof PolicyFailure)) throw error;
    return { ok: false, code: error.code, message: `${ENGINE} ${error.message}.`, ...traced };
  }
}

/** One evaluation of a policy. */
class Run {
  readonly #rules: PolicySyntax['rules'];
  readonly #scope: RuleScope;
  readonly #trace: RuleTrace[] | undefined;
  readonly #issued = new ClaimSet();
  readonly #properties = new ClaimSet();
  #permitted = false;
  #denied = false;

  constructor(
    { rules }: PolicySyntax,
    incoming: readonly PolicyClaim[],
    jmesPath: JmesPath | undefined,
    trace: RuleTrace[] | undefined,
  ) {
    const budget = new Budget();
    this.#rules = rules;
    this.#trace = trace;
    this.#scope = { incoming: new ClaimSet(), budget, jmesPath };
    for (const claim of incoming) this.#scope.incoming.add(claim, budget);
  }

  /** Evaluates the rules of a section, in their order; each sees what earlier ones added. */
  section(name: SectionName): void {
    for (const rule of this.#rules[name]) this.#apply(rule);
  }

  /** All rules are evaluated: a denial counts wherever it stands (4.4). */
  authorize(): PolicyOutcome | undefined {
    this.section('authorizationrules');
    if (this.#denied) return { ok: false, code: 'policy_denied', message: DENIED };
    if (this.#permitted) return undefined;
    return { ok: false, code: 'policy_not_permitted', message: NOT_PERMITTED };
  }

  result(): PolicyOutcome {
    return { ok: true, issued: byType(this.#issued), properties: byType(this.#properties) };
  }

  #apply(rule: Rule): void {
    const notes = this.#trace === undefined ? undefined : new RuleNotes(rule);
    try {
      const { fired, claims } = evaluateRule(rule, this.#scope, notes);
      const { verb } = rule.action;
      if (fired && verb === 'permit') this.#permitted = true;
      if (fired && verb === 'deny') this.#denied = true;
      const { budget, incoming } = this.#scope;
      for (const claim of claims) {
        incoming.add(claim, budget);
        if (verb === 'issue') this.#issued.add(claim, budget);
        if (verb === 'issueproperty') this.#properties.add(claim, budget);
      }
    } finally {
      if (notes !== undefined) this.#trace?.push(notes.close());
    }
  }
}

function byType({ all }: ClaimSet): IssuedClaims {
  const issued: Record<string, ClaimValue | ClaimValue[]> = {};
  for (const { type, value } of all) {
    const before = Object.hasOwn(issued, type) ? issued[type] : undefined;
    if (before === undefined) define(issued, type, value);
    else if (!Array.isArray(before)) {
      if (before !== value) define(issued, type, [before, value]);
    } else if (!before.includes(value)) before.push(value);
  }
  return issued;
}

/** As an own member whatever its name: `__proto__` is one like others. */
function define(
  issued: Record<string, ClaimValue | ClaimValue[]>,
  type: string,
  value: ClaimValue | ClaimValue[],
): void {
  if (type !== '__proto__') issued[type] = value;
  else
    Object.defineProperty(issued, type, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
}
