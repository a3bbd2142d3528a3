import { type LogHead, type TamperedCode, TamperedError } from '@cloister/sealing';
import type { Anchored } from './head-anchor.ts';

/** Thrown where the log does not contain what was anchored: an older database, or another line. */
export class RolledBackError extends TamperedError {
  readonly anchored: Anchored;
  /** Where the log that was found ends. */
  readonly found: LogHead;
  /** Whether this process keeps the anchor, and moves it on the party's word. */
  readonly isOwnAnchor: boolean;

  constructor(
    code: TamperedCode,
    state: {
      readonly anchored: Anchored;
      readonly found: LogHead;
      readonly isOwnAnchor: boolean;
    },
  ) {
    super(code, `log entry ${state.anchored.value - 1}`);
    this.anchored = state.anchored;
    this.found = state.found;
    this.isOwnAnchor = state.isOwnAnchor;
  }
}
