/**
 * Every code that a caller may see, with its HTTP status and its FHIR issue type: the only place
 * where they meet (spec clinical.md 2.4).
 */
export const REFUSALS = {
  malformed: { status: 400, issue: 'structure' },
  bad_request: { status: 400, issue: 'invalid' },
  unknown_parameter: { status: 400, issue: 'not-supported' },
  not_signed_in: { status: 401, issue: 'login' },
  wrong_password: { status: 401, issue: 'login' },
  forbidden: { status: 403, issue: 'forbidden' },
  not_found: { status: 404, issue: 'not-found' },
  not_allowed: { status: 405, issue: 'not-supported' },
  not_acceptable: { status: 406, issue: 'not-supported' },
  duplicate: { status: 409, issue: 'duplicate' },
  replayed: { status: 409, issue: 'duplicate' },
  version_conflict: { status: 412, issue: 'conflict' },
  several_matches: { status: 412, issue: 'multiple-matches' },
  too_large: { status: 413, issue: 'too-long' },
  unsupported_media_type: { status: 415, issue: 'not-supported' },
  invalid_resource: { status: 422, issue: 'invalid' },
  unusable_image: { status: 422, issue: 'value' },
  if_match_required: { status: 428, issue: 'required' },
  throttled: { status: 429, issue: 'throttled' },
  record_tampered: { status: 500, issue: 'security' },
  internal: { status: 500, issue: 'exception' },
  storage_unavailable: { status: 503, issue: 'no-store' },
  storage_full: { status: 507, issue: 'no-store' },
} as const;

/** Why a request was not done. Stable: clients switch on it, texts may change. */
export type RefusalCode = keyof typeof REFUSALS;

/** One complaint in an OperationOutcome. */
export interface Complaint {
  readonly code: string;
  readonly expression?: string;
  /** Names of elements, parameters and rules; never what the caller sent. */
  readonly text: string;
}

/** Thrown where a request cannot be done; becomes an OperationOutcome or a problem. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: RefusalCode;
  readonly complaints: readonly Complaint[];
  readonly retryAfter: number | undefined;

  constructor(
    code: RefusalCode,
    text?: string,
    options: ErrorOptions & { complaints?: readonly Complaint[]; retryAfter?: number } = {},
  ) {
    super(code, options);
    this.code = code;
    this.retryAfter = options.retryAfter;
    const own = { code: REFUSALS[code].issue, text: text ?? code.replaceAll('_', ' ') };
    this.complaints = options.complaints ?? [own];
  }
}
