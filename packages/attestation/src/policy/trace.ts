import type { PolicyClaim } from './policy-claim.ts';
import type { Condition, Rule } from './syntax.ts';

/** A claim that a condition looked at and turned down, and the part that did. */
export interface NearMiss {
  readonly claim: PolicyClaim;
  /** As it stands in the policy: `value == false`. */
  readonly failed: string;
}

/** What came of a condition. */
export interface ConditionTrace {
  readonly text: string;
  /** Whether it held at least once; of a negated one, whether nothing matched. */
  readonly held: boolean;
  readonly matched: readonly PolicyClaim[];
  /** Claims of the right type that failed by something else. */
  readonly nearMisses: readonly NearMiss[];
}

/** What came of a rule. */
export interface RuleTrace {
  readonly section: Rule['section'];
  readonly line: number;
  readonly text: string;
  /** Whether its action was run. */
  readonly fired: boolean;
  readonly verb: Rule['action']['verb'];
  readonly conditions: readonly ConditionTrace[];
  /** The claims that its action made, those that were there before included. */
  readonly claims: readonly PolicyClaim[];
}

/** How many claims of each sort a trace keeps for a condition. */
const MOST = 16;

interface OpenCondition {
  readonly text: string;
  held: boolean;
  readonly matched: Set<PolicyClaim>;
  readonly nearMisses: Map<PolicyClaim, string>;
}

/** Notes what happens while one rule is evaluated. */
export class RuleNotes {
  readonly #rule: Rule;
  readonly #conditions: readonly OpenCondition[];
  readonly #claims: PolicyClaim[] = [];
  #fired = false;

  constructor(rule: Rule) {
    this.#rule = rule;
    this.#conditions = rule.conditions.map(({ text }) => ({
      text,
      held: false,
      matched: new Set(),
      nearMisses: new Map(),
    }));
  }

  matched(slot: number, claims: readonly PolicyClaim[], { negated }: Condition): void {
    const condition = this.#conditions[slot];
    if (condition === undefined) return;
    if (claims.length > 0 !== negated) condition.held = true;
    for (const claim of claims) if (condition.matched.size < MOST) condition.matched.add(claim);
  }

  missed(slot: number, claim: PolicyClaim, failed: string): void {
    const misses = this.#conditions[slot]?.nearMisses;
    if (misses !== undefined && misses.size < MOST) misses.set(claim, failed);
  }

  fired(): void {
    this.#fired = true;
  }

  made(claim: PolicyClaim): void {
    if (this.#claims.length < MOST) this.#claims.push(claim);
  }

  close(): RuleTrace {
    const { section, line, text, action } = this.#rule;
    return {
      section,
      line,
      text,
      fired: this.#fired,
      verb: action.verb,
      conditions: this.#conditions.map(({ matched, nearMisses, ...condition }) => ({
        ...condition,
        matched: [...matched],
        nearMisses: Array.from(nearMisses, ([claim, failed]) => ({ claim, failed })),
      })),
      claims: this.#claims,
    };
  }
}
