/** Where a score lies against the model's operating point. */
export type ScoreBand = 'low' | 'medium' | 'high';

/**
 * The band of a score (spec/clinical.md 11.1, rule 6): low below the operating point, high in the
 * upper half above it. It says where the score lies, not how likely a disease is.
 */
export function scoreBand(score: number, threshold: number): ScoreBand {
  if (score < threshold) return 'low';
  return score < threshold + (1 - threshold) / 2 ? 'medium' : 'high';
}
