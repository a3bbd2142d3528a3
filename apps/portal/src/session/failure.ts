import { ChannelError } from '@cloister/channel';
import { ClientError, type ClientErrorCode } from '@cloister/client';

/** What may be said about a failure (keys of the texts under `errors`). */
export type FailureText =
  | ClientErrorCode
  | (typeof REASONS)[number]
  | 'channel'
  | 'stale'
  | 'clock'
  | 'internal';

/** Reasons of the platform's own that have words of their own. */
const REASONS = ['record_tampered', 'storage_full', 'storage_unavailable'] as const;

/** A failure as a screen shows it: a sentence in the reader's language, and a code for IT. */
export interface Failure {
  readonly text: FailureText;
  readonly code: string;
  /** Whether it is worth trying again by itself. */
  readonly temporary: boolean;
}

/** What a screen says about an error; errors that nobody foresaw are `internal`. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ClientError) {
    const temporary = ['unavailable', 'server_error', 'throttled'].includes(error.code);
    if (error.code === 'unsure') {
      const cause = error.cause === undefined ? '' : ` · ${failureOf(error.cause).code}`;
      return { text: 'unsure', code: `unsure${cause}`, temporary: false };
    }
    const reason = REASONS.find((one) => one === error.issues[0]?.reason);
    if (reason !== undefined) return { text: reason, code: reason, temporary: false };
    return { text: error.code, code: error.code, temporary };
  }
  if (error instanceof ChannelError) {
    const { code } = error;
    if (code === 'transport_failed') return { text: 'unavailable', code, temporary: true };
    if (code === 'clock_refused') return { text: 'clock', code, temporary: false };
    if (code === 'stale_key' || code === 'peer_changed')
      return { text: 'stale', code, temporary: false };
    return { text: 'channel', code, temporary: false };
  }
  return { text: 'internal', code: 'internal', temporary: false };
}

/** Whether an error means that the session has ended. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'unauthorized';
}
