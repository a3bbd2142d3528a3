/** Why HPKE refused. Stable: callers switch on it. */
export type HpkeErrorCode =
  | 'bad_public_key'
  | 'bad_private_key'
  | 'bad_encapsulation'
  | 'open_failed'
  | 'message_limit';

/** Thrown where a key, an encapsulated key or a ciphertext cannot be used. Holds no secret. */
export class HpkeError extends Error {
  override readonly name = 'HpkeError';
  readonly code: HpkeErrorCode;

  constructor(code: HpkeErrorCode, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
  }
}
