/** Why a request failed. Stable: callers switch on it and say it in the reader's language. */
export type ClientErrorCode =
  /** Nothing answered, or the connection broke: nothing is known about the request's effect. */
  | 'unavailable'
  /** The server has seen this very message before: the first copy may have had its effect. */
  | 'replayed'
  /** A write may have had its effect or not, and asking once more did not tell: look before repeating. */
  | 'unsure'
  /** The caller's own guard stopped the request: it had no effect. */
  | 'not_sent'
  /** An answer came that is not what the interface promises. */
  | 'malformed_answer'
  /** The answer is longer than the interface allows. */
  | 'answer_too_large'
  /** Not signed in, or the session has ended. */
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  /** The request body is too large for the server. */
  | 'too_large'
  | 'unsupported_media_type'
  /** The server understood the request and says that its content is wrong: see `issues`. */
  | 'invalid'
  | 'throttled'
  /** The server failed. */
  | 'server_error'
  /** Any other refusal. */
  | 'refused';

/** One complaint of a server about a request (FHIR OperationOutcome.issue). */
export interface Issue {
  /** FHIR issue type, or the problem's code. */
  readonly code: string;
  /** The server's own code where it gives one (`details.coding[0].code`). */
  readonly reason?: string;
  /** FHIRPath of the element it is about. */
  readonly expression?: string;
  /** Plain words of the server; not for display where a translation of the code exists. */
  readonly text?: string;
}

/** Thrown when a request could not be made or was not answered as its interface promises. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;
  /** The operation, never its data. */
  readonly where: string;
  /** HTTP status, where an answer came. */
  readonly status: number | undefined;
  readonly issues: readonly Issue[];

  constructor(
    code: ClientErrorCode,
    where: string,
    options: ErrorOptions & { status?: number; issues?: readonly Issue[] } = {},
  ) {
    super(`${code} in ${where}`, options);
    this.code = code;
    this.where = where;
    this.status = options.status;
    this.issues = options.issues ?? [];
  }
}
