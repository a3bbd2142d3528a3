import { ATTESTATION_TARGETS } from './attestation-targets.ts';
import { OTHER_TARGETS } from './other-targets.ts';
import type { Target } from './target.ts';

/** Every reader of untrusted input, by its name. */
export const TARGETS: ReadonlyMap<string, Target> = new Map(
  [...ATTESTATION_TARGETS, ...OTHER_TARGETS].map((target) => [target.name, target]),
);
