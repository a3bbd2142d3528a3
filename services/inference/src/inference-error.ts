/** Why a request is refused, and the HTTP status that says so. */
export const STATUS = {
  not_found: 404,
  model_not_found: 404,
  model_not_ready: 503,
  header_length: 400,
  header_invalid: 400,
  input_name: 400,
  input_datatype: 400,
  input_shape: 400,
  input_size: 400,
  input_not_finite: 422,
  input_constant: 422,
  input_range: 422,
  output_unknown: 400,
  evidence_unknown: 409,
  too_large: 413,
  overloaded: 503,
  issuer_unavailable: 503,
  worker_lost: 503,
  model_output: 500,
  internal: 500,
} as const;

/** A code of {@link STATUS}. */
export type InferenceCode = keyof typeof STATUS;

/** A request that is refused; the detail names members and limits, never values. */
export class InferenceError extends Error {
  override readonly name = 'InferenceError';
  readonly code: InferenceCode;
  readonly detail: string;

  constructor(code: InferenceCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.detail = detail;
  }
}

/** An error answer in the form of the Open Inference Protocol, with a stable code besides. */
export function errorResponse(status: number, code: string, detail: string): Response {
  return Response.json({ error: detail, code }, { status });
}
