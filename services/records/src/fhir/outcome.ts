import type { JsonObject } from '@cloister/bytes';
import { REFUSALS, type RefusedError } from '../refused-error.ts';

/** The code system of our refusals in `issue.details`. */
const REFUSAL_SYSTEM = 'urn:cloister:refusal';

/**
 * A refusal as OperationOutcome (spec clinical.md 2.4). Never has text of the caller in it; an
 * internal fault shows the request's id and nothing else.
 */
export function operationOutcome(error: RefusedError, requestId: string): JsonObject {
  const fatal = error.code === 'internal' || error.code === 'malformed';
  return {
    resourceType: 'OperationOutcome',
    issue: error.complaints.map(({ code, expression, text }) => ({
      severity: fatal ? 'fatal' : 'error',
      code,
      details: { coding: [{ system: REFUSAL_SYSTEM, code: error.code }], text },
      ...(expression === undefined ? {} : { expression: [expression] }),
      ...(error.code === 'internal' ? { diagnostics: requestId } : {}),
    })),
  };
}

/** The HTTP status of a refusal. */
export function statusOf(error: RefusedError): number {
  return REFUSALS[error.code].status;
}
