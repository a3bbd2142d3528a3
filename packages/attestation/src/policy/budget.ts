/** An evaluation of a policy that came to no result: a function refused, or it cost too much. */
export class PolicyFailure extends Error {
  override readonly name = 'PolicyFailure';
  readonly code: 'policy_failed' | 'policy_too_costly';

  constructor(code: 'policy_failed' | 'policy_too_costly', message: string) {
    super(message);
    this.code = code;
  }
}

/** How many combinations of claims an evaluation may go through (spec/azure-attestation.md 4.7). */
const MAX_COMBINATIONS = 10_000;
/** Claims and JSON values looked at: some 0.1 s of work at most. */
const MAX_STEPS = 300_000;
/** Texts cost a step for so many characters. */
const CHARACTERS_PER_STEP = 64;
/** How long a string value may become. */
const MAX_STRING = 1 << 20;

/** What an evaluation may still spend. Steps are counted, for libraries have no clock. */
export class Budget {
  #steps = MAX_STEPS;
  #combinations = MAX_COMBINATIONS;

  /** Pays for so many steps; throws PolicyFailure where there are not enough left. */
  spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw tooCostly('steps');
  }

  /** Pays for reading or writing so many characters. */
  spendText(length: number): void {
    if (length > MAX_STRING) throw tooCostly('a string');
    this.spend(1 + Math.ceil(length / CHARACTERS_PER_STEP));
  }

  /** Pays for one more combination of claims. */
  combine(): void {
    this.#combinations -= 1;
    if (this.#combinations < 0) throw tooCostly('combinations of claims');
  }
}

function tooCostly(what: string): PolicyFailure {
  return new PolicyFailure('policy_too_costly', `the policy exceeds the limit of ${what}`);
}
