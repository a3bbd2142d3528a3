import type { Verification, VerifiedHead } from '@cloister/attestation';
import { createHeadJudge, type HeadFeed } from '@cloister/client';

/** Judges the heads that a token names; the claims are the newest of the own party among them. */
export type NamedHeadJudge = (hashes: readonly string[]) => Promise<Verification<VerifiedHead>>;

/**
 * Judges by the heads that the gate follows. Where its own give no time, nobody is admitted, and the
 * code says that it is the gate's heads which are missing or too old, not the token's.
 */
export function judgeByFeed(feed: HeadFeed): NamedHeadJudge {
  const judge = createHeadJudge(feed);
  return async (hashes) => {
    const verdict = await judge(hashes);
    if (verdict.ok) return verdict;
    const own = feed.keeper.check();
    return own.ok ? verdict : { ...verdict, code: `gate_${own.code}` };
  };
}
