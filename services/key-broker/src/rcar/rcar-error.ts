/** The kinds of Trustee's ErrorInformation, with their statuses. */
const STATUS = {
  ProtocolVersion: 401,
  UnsupportedTee: 401,
  CookieMissing: 401,
  CookieUnknown: 401,
  CookieExpired: 401,
  NonceMismatch: 401,
  NonceUsed: 401,
  AttestationFailed: 401,
  Unauthenticated: 401,
  PolicyDeny: 403,
  ResourceNotFound: 404,
  MalformedRequest: 400,
  Unavailable: 503,
} as const;

/** Why a step of the RCAR protocol was refused. */
export type RcarCode = keyof typeof STATUS;

/** Thrown where a foreign client is refused; becomes ErrorInformation of its protocol. */
export class RcarError extends Error {
  override readonly name = 'RcarError';
  readonly code: RcarCode;
  readonly detail: string;

  constructor(code: RcarCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.detail = detail;
  }

  /** 401 not attested, 403 policy, 404 absent (spec/key-broker.md 2.4). */
  toResponse(): Response {
    const { code, detail } = this;
    const type = `https://github.com/confidential-containers/kbs/errors/${code}`;
    return Response.json({ type, detail }, { status: STATUS[code] });
  }
}
