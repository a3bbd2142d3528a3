import type { Check } from '../verification.ts';

/**
 * The three questions that the checks of a peer answer, in the order in which people ask them:
 * is it genuine hardware, and sealed; is the code the code agreed on; does the channel end
 * inside it.
 */
export const CHECK_GROUPS = ['hardware', 'code', 'channel'] as const;

/** One of the three questions. */
export type CheckGroup = (typeof CHECK_GROUPS)[number];

/** The question that a check answers: its name begins with it; others count as hardware. */
export function groupOfCheck(name: string): CheckGroup {
  return CHECK_GROUPS.find((group) => name.startsWith(`${group}: `)) ?? 'hardware';
}

/** The checks of `verifyPeer`, by the question that they answer; their order is kept. */
export function groupChecks(
  checks: readonly Check[],
): Readonly<Record<CheckGroup, readonly Check[]>> {
  const of = (group: CheckGroup) => checks.filter(({ check }) => groupOfCheck(check) === group);
  return { hardware: of('hardware'), code: of('code'), channel: of('channel') };
}
