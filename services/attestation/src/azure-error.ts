import type { Check } from '@cloister/attestation';

/** The codes of Azure Attestation's errors (spec/azure-attestation.md 1.5), with their statuses. */
const STATUS = {
  PolicyEvaluationError: 400,
  PolicyParsingError: 400,
  InvalidParameter: 400,
  InvalidOperation: 400,
  Unauthorized: 401,
  NotFound: 404,
  MethodNotAllowed: 405,
  Conflict: 409,
  RequestEntityTooLarge: 413,
  TooManyRequests: 429,
  InternalServerError: 500,
  ServiceUnavailable: 503,
} as const;

/** One of them. */
export type AzureErrorCode = keyof typeof STATUS;

/** A request that is refused in Azure Attestation's words. The message names structures only. */
export class AzureError extends Error {
  override readonly name = 'AzureError';
  readonly code: AzureErrorCode;
  /** What the log may say: a code of ours, where there is a finer one. */
  readonly reason: string;
  /** What was checked of the evidence, where that is why. */
  readonly checks: readonly Check[];

  constructor(
    code: AzureErrorCode,
    message: string,
    reason: string = code,
    checks: readonly Check[] = [],
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.checks = checks;
  }
}

/** An answer before it becomes a Response: attesting makes thousands of them a second. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What every JSON answer of this service is, as the real one types it. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** The error body: code and message, repeated in `innererror` as the real service does. */
export function azureErrorAnswer({ code, message }: AzureError): Answer {
  const error = { code, message };
  return {
    status: STATUS[code],
    body: JSON.stringify({ error: { ...error, innererror: error } }),
  };
}

/** An answer as a Response. */
export function responseOf(
  { status, body }: Answer,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, { status, headers: { ...headers, 'content-type': JSON_TYPE } });
}

/** The error body as a Response. */
export function azureErrorResponse(error: AzureError): Response {
  return responseOf(
    azureErrorAnswer(error),
    error.code === 'TooManyRequests' ? { 'retry-after': '1' } : {},
  );
}

/** A JSON answer as the real service types it. */
export function azureJson(body: unknown, status = 200): Response {
  return responseOf({ status, body: JSON.stringify(body) });
}
