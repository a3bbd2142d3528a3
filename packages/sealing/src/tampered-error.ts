/** What was found wrong with stored bytes. Stable: callers switch on it, messages may change. */
export type TamperedCode =
  | 'not_authentic'
  /** Wrapped by a version of the tenant key that nobody here has: not yet, or destroyed. */
  | 'tenant_key_unknown'
  | 'chain_broken'
  | 'log_truncated'
  | 'entry_missing'
  | 'entry_replaced'
  | 'blob_truncated';

/**
 * Thrown when something that was stored is not what was stored: changed, moved, replaced by an
 * older one, or gone (design 4). Carries positions and structure names only, never content.
 */
export class TamperedError extends Error {
  override readonly name = 'TamperedError';
  readonly code: TamperedCode;
  /** The structure and its position. */
  readonly where: string;

  constructor(code: TamperedCode, where: string, options?: ErrorOptions) {
    super(`${code}: ${where}`, options);
    this.code = code;
    this.where = where;
  }
}
