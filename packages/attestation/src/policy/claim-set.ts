import type { Budget } from './budget.ts';
import { isSameClaim, type PolicyClaim } from './policy-claim.ts';

const NONE: readonly PolicyClaim[] = [];

/** Claims in the order in which they came, each once, found by type. */
export class ClaimSet {
  readonly #all: PolicyClaim[] = [];
  readonly #byType = new Map<string, PolicyClaim[]>();

  get all(): readonly PolicyClaim[] {
    return this.#all;
  }

  ofType(type: string): readonly PolicyClaim[] {
    return this.#byType.get(type) ?? NONE;
  }

  /** Adds a claim unless it is there; false if it was. */
  add(claim: PolicyClaim, budget: Budget): boolean {
    const fellows = this.#byType.get(claim.type);
    if (fellows === undefined) this.#byType.set(claim.type, [claim]);
    else {
      budget.spend(fellows.length);
      if (fellows.some((one) => isSameClaim(one, claim))) return false;
      fellows.push(claim);
    }
    this.#all.push(claim);
    return true;
  }
}
