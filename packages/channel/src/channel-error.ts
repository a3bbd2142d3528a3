/** Why a call through the channel has no answer. Stable: callers switch on it. */
export type ChannelErrorCode =
  /** The network, or what carries requests over it, failed. */
  | 'transport_failed'
  /** The answer was not encapsulated: whoever sent it, it is not shown. */
  | 'not_encapsulated'
  /** The answer is not the attested service's answer to this request. */
  | 'open_failed'
  /** An answer in chunks ended before its final chunk: what came of it is not all of it. */
  | 'answer_truncated'
  /** The attested service sent something that is no HTTP response. */
  | 'malformed_answer'
  | 'answer_too_large'
  /**
   * The service no longer has the key, and was not verified again or still refuses. Where the content
   * was a stream, it may have been verified again: the next call goes to its new key.
   */
  | 'stale_key'
  /** Verification after a stale key gave another service or something unverified. */
  | 'peer_changed'
  /** The service offers no key that the manifest allows. */
  | 'no_suite'
  /**
   * The service refuses the client's clock even after it was corrected; where the content was a stream,
   * before: the next call has the right time.
   */
  | 'clock_refused';

/** Thrown by the client half: there is no answer, and nothing of what came instead is shown. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly code: ChannelErrorCode;
  /** The HTTP status outside, where there was one. */
  readonly status: number | undefined;

  constructor(code: ChannelErrorCode, options?: ErrorOptions & { readonly status?: number }) {
    super(options?.status === undefined ? code : `${code} (status ${options.status})`, options);
    this.code = code;
    this.status = options?.status;
  }
}
