/** Why bytes could not be read. Stable: callers switch on it, messages may change. */
export type MalformedCode = 'truncated' | 'trailing_bytes' | 'bad_value' | 'too_large' | 'too_deep';

/** Thrown when untrusted bytes do not have the shape that their format promises. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
  readonly code: MalformedCode;
  /** The structure being read, then the offset in it: never the bytes themselves. */
  readonly where: string;

  constructor(code: MalformedCode, where: string, options?: ErrorOptions) {
    super(`${code} in ${where}`, options);
    this.code = code;
    this.where = where;
  }
}
