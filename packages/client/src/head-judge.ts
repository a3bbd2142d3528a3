import type { Verification, VerifiedHead } from '@cloister/attestation';
import type { HeadFeed } from './broker-heads.ts';

/** What a newer head, fetched now, may mend. */
const MENDABLE: ReadonlySet<string> = new Set(['head_unknown', 'own_head_missing', 'head_too_old']);

/**
 * Judges by heads (design 2.1, rule 8): the accepter's own party must have a head that still gives
 * time, and what it judges must name one of that party at most the lease older. Where it names one
 * that is not known yet, the brokers are asked once more; many who ask together ask once.
 */
export function createHeadJudge(
  feed: HeadFeed,
): (hashes: readonly string[]) => Promise<Verification<VerifiedHead>> {
  let pending: Promise<unknown> | undefined;
  const judge = (hashes: readonly string[]): Verification<VerifiedHead> => {
    const own = feed.keeper.check();
    return own.ok ? feed.keeper.judge(hashes) : own;
  };
  return async (hashes) => {
    const verdict = judge(hashes);
    if (verdict.ok || !MENDABLE.has(verdict.code)) return verdict;
    pending ??= feed.refresh().finally(() => {
      pending = undefined;
    });
    await pending;
    return judge(hashes);
  };
}
