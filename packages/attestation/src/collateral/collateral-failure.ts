/** Why a source did not give a document. Stable: callers switch on it. */
export type CollateralFailureCode =
  /** No answer came. */
  | 'unreachable'
  /** The source does not know this platform, chip or number. */
  | 'not_found'
  /** The evaluation data number, or the version of the API, is no longer served. */
  | 'gone'
  /** Too many requests; `retryAt` says when to come again. */
  | 'rate_limited'
  /** The source says that it cannot answer now. */
  | 'unavailable'
  /** The source refuses the request, or wants a key that it was not given. */
  | 'refused'
  /** What came is not the document that was asked for, or does not verify. */
  | 'bad_answer'
  /** What came is older than what was there before: a replay, or a mirror that is behind. */
  | 'older_than_known';

/** A failure of one source, as a value: the caller decides what to do without the document. */
export interface CollateralFailure {
  readonly code: CollateralFailureCode;
  readonly source: string;
  readonly document: string;
  /** HTTP status, where there was an answer. */
  readonly status?: number;
  /** Not to be asked before this. */
  readonly retryAt?: Date;
  /** Names of structures and codes; never input bytes. */
  readonly detail?: string;
}

/** Ends the fetch of a document from inside: caught in `DocumentCache`, seen by no caller. */
export class FetchProblem extends Error {
  override readonly name = 'FetchProblem';
  readonly failure: Omit<CollateralFailure, 'source' | 'document'>;

  constructor(failure: Omit<CollateralFailure, 'source' | 'document'>, options?: ErrorOptions) {
    super(failure.code, options);
    this.failure = failure;
  }
}
