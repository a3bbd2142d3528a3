import type { EvidenceCode } from '../verification.ts';
import { Refusal } from './progress.ts';

/** Judges windows of validity at one instant, and remembers whether leniency was needed. */
export class Validity {
  readonly #at: number;
  readonly #grace: number;
  #expired = false;

  constructor(at: Date, graceSeconds: number) {
    this.#at = at.getTime();
    this.#grace = graceSeconds * 1000;
  }

  /** Whether something had expired that the grace let pass. */
  get expired(): boolean {
    return this.#expired;
  }

  /** Refuses what is not yet or no longer valid; both ends are inside (spec/evidence.md 2.3, 5). */
  check(start: Date, end: Date, name: string, code: EvidenceCode): void {
    // Written so that an invalid date or grace, which compares as false, is refused.
    if (!(this.#at >= start.getTime())) throw new Refusal(code, `${name} is not yet valid`);
    if (this.#at <= end.getTime()) return;
    if (!(this.#at <= end.getTime() + this.#grace)) throw new Refusal(code, `${name} has expired`);
    this.#expired = true;
  }
}
