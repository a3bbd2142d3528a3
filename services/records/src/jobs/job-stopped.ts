/**
 * Why an AI job ended without a result: the code that stands in `Task.statusReason`, with the
 * status it leads to and what is said in plain words.
 */
export const JOB_REASONS = {
  'peer-not-trusted': {
    status: 'rejected',
    text: 'The provider could not show that it is the one agreed on. Nothing was sent.',
  },
  'provider-unavailable': {
    status: 'failed',
    text: 'The provider does not answer.',
  },
  'caller-not-admitted': {
    status: 'failed',
    text: 'The provider did not admit this service. The image was not sent.',
  },
  'input-refused': {
    status: 'failed',
    text: 'The model does not take this image.',
  },
  'receipt-invalid': {
    status: 'failed',
    text: 'The receipt does not match the answer. The image was sent; the answer was not stored.',
  },
  'answer-invalid': {
    status: 'failed',
    text: 'The answer does not have the agreed form. The image was sent; nothing was stored.',
  },
  'record-tampered': {
    status: 'failed',
    text: 'The stored image was changed outside this service. Nothing was sent.',
  },
  internal: { status: 'failed', text: 'A fault of this service.' },
} as const;

/** A code of the table. */
export type JobReason = keyof typeof JOB_REASONS;

/** Thrown by a phase of a job that cannot go on. */
export class JobStopped extends Error {
  override readonly name = 'JobStopped';
  readonly code: JobReason;
  /** Which check or rule, by name: never content. */
  readonly detail: string | undefined;

  constructor(code: JobReason, detail?: string, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
    this.detail = detail;
  }
}
