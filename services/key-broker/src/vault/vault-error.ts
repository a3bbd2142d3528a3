/** Azure Key Vault's error codes, with their statuses. */
const STATUS = {
  BadParameter: 400,
  Unauthorized: 401,
  Forbidden: 403,
  KeyNotFound: 404,
  Conflict: 409,
  ServiceUnavailable: 503,
} as const;

/** A refusal in the form of Azure Key Vault: `{"error": {code, message}}`. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly code: keyof typeof STATUS;
  /** The reason: it names rules and structures, never content. */
  readonly reason: string;

  constructor(code: keyof typeof STATUS, reason: string, options?: ErrorOptions) {
    super(`${code}: ${reason}`, options);
    this.code = code;
    this.reason = reason;
  }

  toResponse(headers: Readonly<Record<string, string>> = {}): Response {
    const body = { error: { code: this.code, message: this.reason } };
    return Response.json(body, { status: STATUS[this.code], headers });
  }
}
