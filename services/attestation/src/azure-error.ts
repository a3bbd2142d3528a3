/** The codes of Azure Attestation's errors (spec/azure-attestation.md 1.5), with their statuses. */
const STATUS = {
  PolicyEvaluationError: 400,
  PolicyParsingError: 400,
  InvalidParameter: 400,
  InvalidOperation: 400,
  Unauthorized: 401,
  NotFound: 404,
  RequestEntityTooLarge: 413,
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

  constructor(code: AzureErrorCode, message: string, reason: string = code) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** The error body: code and message, repeated in `innererror` as the real service does. */
export function azureErrorResponse({ code, message }: AzureError): Response {
  const error = { code, message };
  return azureJson({ error: { ...error, innererror: error } }, STATUS[code]);
}

/** A JSON answer as the real service types it. */
export function azureJson(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8' },
  });
}
