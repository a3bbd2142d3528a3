import type { StudyView } from '@cloister/client';

/** What became of an image whose upload was cancelled. */
export type CancelOutcome = 'not-stored' | 'stored' | 'unknown';

/** How it is found out. */
export interface CancelMeans {
  /** The studies of the record, as they are now. */
  readonly studies: () => Promise<readonly StudyView[]>;
  /** Ids of the studies before the upload; undefined where they were not known. */
  readonly before: readonly string[] | undefined;
  /** Long enough for a message that was complete to be stored. */
  readonly wait: () => Promise<void>;
}

/**
 * Looks whether a cancelled upload was stored all the same. An image comes in one message, and half a
 * message has no effect; one that was complete just before the cancel is stored whole.
 */
export async function afterCancel({ studies, before, wait }: CancelMeans): Promise<CancelOutcome> {
  if (before === undefined) return 'unknown';
  await wait();
  let now: readonly StudyView[];
  try {
    now = await studies();
  } catch (error) {
    // Not reachable, or signed out: whatever it was, it did not say.
    if (error instanceof Error && 'code' in error) return 'unknown';
    throw error;
  }
  return now.some(({ id }) => !before.includes(id)) ? 'stored' : 'not-stored';
}
