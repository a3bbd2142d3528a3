/** Why the machine could not help. Stable: callers switch on it, messages may change. */
export type AttesterCode =
  | 'platform_unreadable'
  | 'sources_unreadable'
  | 'secret_missing'
  | 'secret_unreadable'
  | 'secret_tampered'
  | 'no_token_source'
  | 'bad_token';

/** Thrown when the machine, its files or its attestation service did not do their part. */
export class AttesterError extends Error {
  override readonly name = 'AttesterError';
  readonly code: AttesterCode;
  /** What was tried, by name. */
  readonly where: string;

  constructor(code: AttesterCode, where: string, options?: ErrorOptions) {
    super(`${code}: ${where}`, options);
    this.code = code;
    this.where = where;
  }
}
