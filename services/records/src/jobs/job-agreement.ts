import type { Agreement } from '@cloister/client';

/** The trust manifest by which jobs go, as it changes. */
export interface JobAgreement {
  /** What is in force now. */
  readonly current: () => Agreement;
  /** Ids of the manifests by which an answer may have been given: see `ManifestFollower.ids`. */
  readonly ids: () => readonly string[];
}
