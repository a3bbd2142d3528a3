import { INTEL_ROOT, type EvidenceRules, type TrustAnchor } from '@cloister/attestation';

/** Whose evidence this instance verifies: the one sort or the other (design 2.1, rule 9). */
export interface Roots {
  readonly sort: 'hardware' | 'simulated';
  /** Of Intel's quotes, or of those in their layout. AMD's roots are the library's. */
  readonly anchors: readonly TrustAnchor[];
}

/** The makers' roots, unless a manifest of profile dev names simulated ones. */
export function rootsOf(rules: Pick<EvidenceRules, 'roots'> | undefined): Roots {
  return rules === undefined || rules.roots === 'hardware'
    ? { sort: 'hardware', anchors: [INTEL_ROOT] }
    : {
        sort: 'simulated',
        anchors: rules.roots.simulated.map((spkiSha256) => ({ spkiSha256 })),
      };
}
