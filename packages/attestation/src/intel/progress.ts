import { MalformedError } from '@cloister/bytes';
import type { Check, EvidenceCode } from '../verification.ts';

/** Ends a verification from inside: caught where the result is made, seen by no caller. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: EvidenceCode;
  /** What was wrong, by names of structures only. */
  readonly detail: string;

  constructor(code: EvidenceCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}

/** What one step of a procedure is called, and the code where its input cannot be read. */
export interface Step {
  readonly check: string;
  readonly code: EvidenceCode;
}

/** Where a procedure of fixed steps has come to, and so which of its checks have passed. */
export class Progress {
  readonly #steps: readonly Step[];
  #details: Map<string, string> | undefined;
  #at = 0;

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  /** All steps before this one have passed. */
  begin(check: string): void {
    let at = this.#at;
    while (at < this.#steps.length && this.#steps[at]?.check !== check) at += 1;
    if (at === this.#steps.length) throw new RangeError(`no later step: ${check}`);
    this.#at = at;
  }

  /** What to say of the step that runs now, if it passes. */
  note(detail: string): void {
    this.#details ??= new Map();
    this.#details.set(this.#steps[this.#at]?.check ?? '', detail);
  }

  /** The list after the last step has passed. */
  passed(): readonly Check[] {
    return this.#steps.map(({ check }) => this.#pass(check));
  }

  /** The list where the step that runs now failed; errors that are no answer are thrown on. */
  failed(error: unknown): { code: EvidenceCode; checks: readonly Check[] } {
    const { code, detail } = this.#explain(error);
    const checks = this.#steps.map(({ check }, i): Check => {
      if (i < this.#at) return this.#pass(check);
      if (i > this.#at) return { check, outcome: 'skipped' };
      return { check, outcome: 'failed', code, detail };
    });
    return { code, checks };
  }

  #pass(check: string): Check {
    const detail = this.#details?.get(check);
    return detail === undefined
      ? { check, outcome: 'passed' }
      : { check, outcome: 'passed', detail };
  }

  #explain(error: unknown): { code: EvidenceCode; detail: string } {
    if (error instanceof Refusal) return error;
    const step = this.#steps[this.#at];
    if (!(error instanceof MalformedError) || step === undefined) throw error;
    return { code: step.code, detail: error.message };
  }
}
