/** Thrown, and told to `onError`, where an application's event stream cannot be sent on. */
export class EventStreamError extends Error {
  override readonly name = 'EventStreamError';
  readonly code: 'line_too_long';

  constructor(code: 'line_too_long') {
    super(code);
    this.code = code;
  }
}
