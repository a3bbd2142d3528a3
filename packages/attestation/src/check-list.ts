import type { Check, Verification } from './verification.ts';

/** Collects the checks of a verification; the first one that failed gives its code. */
export class CheckList {
  readonly #checks: Check[] = [];

  /** The code of the first check that failed; undefined as long as none did. */
  get code(): string | undefined {
    return this.#checks.find(({ outcome }) => outcome === 'failed')?.code;
  }

  /** All checks so far, in the order in which they were made. */
  get checks(): readonly Check[] {
    return this.#checks;
  }

  /** How many checks passed. */
  get passed(): number {
    return this.#checks.filter(({ outcome }) => outcome === 'passed').length;
  }

  /** Notes whether a check passed, and says so. */
  expect(check: string, passed: boolean, code: string, detail?: string): boolean {
    this.#checks.push({
      check,
      outcome: passed ? 'passed' : 'failed',
      ...(passed ? {} : { code }),
      ...(detail === undefined || passed ? {} : { detail }),
    });
    return passed;
  }

  /** Notes a check that does not apply, or that was not reached. */
  skip(check: string, detail?: string): void {
    this.#checks.push({ check, outcome: 'skipped', ...(detail === undefined ? {} : { detail }) });
  }

  /** Takes over checks that were made elsewhere, their names behind a prefix. */
  include(checks: readonly Check[], prefix = ''): void {
    for (const check of checks) this.#checks.push({ ...check, check: `${prefix}${check.check}` });
  }

  /** Lists the checks that a refusal left unmade. */
  skipRest(names: readonly string[]): void {
    for (const name of names) {
      if (!this.#checks.some(({ check }) => check === name)) this.skip(name, 'not reached');
    }
  }

  /** The negative result; `refused` stands in where no check failed. */
  refusal(): Verification<never> {
    return { ok: false, code: this.code ?? 'refused', checks: [...this.#checks] };
  }

  /** These claims, if nothing failed. */
  result<T>(claims: T): Verification<T> {
    return this.code === undefined
      ? { ok: true, claims, checks: [...this.#checks] }
      : this.refusal();
  }
}
