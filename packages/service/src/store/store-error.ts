/** Why a store did not do what it was asked. Stable: callers switch on it, messages may change. */
export type StoreErrorCode =
  /** The head or a value is not what the batch expected: read again, then decide again. */
  | 'conflict'
  /** A marker of the batch is there already. */
  | 'replayed'
  /** No room for the batch. */
  | 'full'
  /** Nobody answers. After a commit, nothing is known about the batch: read the head. */
  | 'unavailable'
  /** Another process has the store. */
  | 'in_use'
  /** What is stored is not what this store writes. */
  | 'corrupt';

/** Thrown when a store cannot do what it is asked; of a batch nothing is then written. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, options?: ErrorOptions) {
    super(`store: ${code}`, options);
    this.code = code;
  }
}
