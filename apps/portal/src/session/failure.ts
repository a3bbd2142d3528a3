import { ChannelError } from '@cloister/channel';
import { ClientError, type ClientErrorCode } from '@cloister/client';

/** What may be said about a failure (keys of the texts under `errors`). */
export type FailureText = ClientErrorCode | 'channel' | 'stale' | 'clock' | 'internal';

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
