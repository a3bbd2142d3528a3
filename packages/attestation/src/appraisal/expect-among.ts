import type { CheckList } from '../check-list.ts';

/** Checks that a value is on a list; skipped where there is no list. */
export function expectAmong(
  list: CheckList,
  check: string,
  value: string,
  allowed: readonly string[] | undefined,
  code: string,
): void {
  if (allowed === undefined) list.skip(check, 'any');
  else list.expect(check, allowed.includes(value), code);
}
