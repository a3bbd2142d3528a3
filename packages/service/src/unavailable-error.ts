/** What of the outside world failed. Stable: callers switch on it, messages may change. */
export type UnavailableCode =
  | 'unreachable'
  | 'timeout'
  | 'too_large'
  | 'bad_answer'
  | 'host_not_allowed'
  | 'shutting_down'
  | 'not_ready'
  | 'disk';

/** Thrown when the world, and not the input, failed: network, disk, a service that is not there. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
  readonly code: UnavailableCode;
  /** What was tried, by name: never an address with ids in it, never content. */
  readonly where: string;

  constructor(code: UnavailableCode, where: string, options?: ErrorOptions) {
    super(`${code}: ${where}`, options);
    this.code = code;
    this.where = where;
  }
}
