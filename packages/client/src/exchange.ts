import {
  concatBytes,
  decodeUtf8,
  isJsonObject,
  MalformedError,
  parseJson,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { ClientError, type ClientErrorCode, type Issue } from './client-error.ts';
import { objectsOf, optionalTextOf, readAnswer, textsOf } from './fields.ts';

/** An answer whose body was read whole, within its limit. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Bytes;
}

/** How an exchange is bounded and named. */
export interface ExchangeOptions {
  /** The operation in errors; never with ids or data. */
  readonly where: string;
  /** Most bytes that the answer may have. */
  readonly limit: number;
}

/**
 * Sends a request and reads its whole answer. A transport's own typed errors (those with a
 * `code`, such as the channel's) and the reason of an abort pass; everything else that breaks becomes
 * `unavailable`.
 */
export async function exchange(
  fetch: Fetch,
  request: Request,
  { where, limit }: ExchangeOptions,
): Promise<Answer> {
  try {
    const response = await fetch(request);
    const body = await readBody(response, where, limit);
    return { status: response.status, headers: response.headers, body };
  } catch (error) {
    throw failureOf(error, request.signal, where);
  }
}

/** What broke an exchange: its caller's abort and a transport's typed errors as they are. */
export function failureOf(error: unknown, signal: AbortSignal, where: string): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error;
  return new ClientError('unavailable', where, { cause: error });
}

/** Reads a whole body, within a limit. */
export async function readBody(response: Response, where: string, limit: number): Promise<Bytes> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concatBytes(...parts);
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      throw new ClientError('answer_too_large', where, { status: response.status });
    }
    parts.push(value);
  }
}

/** The JSON object of an answer, strictly read. */
export function jsonOf(answer: Answer, where: string): JsonObject {
  return readAnswer(where, () => parseJsonObject(decodeUtf8(answer.body, where), where));
}

const CODES = new Map<number, ClientErrorCode>([
  [400, 'invalid'],
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [409, 'conflict'],
  [410, 'not_found'],
  [412, 'conflict'],
  [413, 'too_large'],
  [415, 'unsupported_media_type'],
  [422, 'invalid'],
  [429, 'throttled'],
]);

/** Throws what an answer other than the expected ones means. */
export function expectStatus(answer: Answer, where: string, ...expected: readonly number[]): void {
  if (expected.includes(answer.status)) return;
  const issues = issuesOf(answer);
  throw new ClientError(codeOf(answer.status, issues), where, { status: answer.status, issues });
}

function codeOf(status: number, [issue]: readonly Issue[]): ClientErrorCode {
  if (status === 409 && (issue?.reason ?? issue?.code) === 'replayed') return 'replayed';
  return CODES.get(status) ?? (status >= 500 ? 'server_error' : 'refused');
}

/**
 * What a refusal says about its reasons: OperationOutcome (FHIR), problem details (RFC 9457) or
 * Azure's error body. A refusal that says nothing readable has no issues; its status counts.
 */
function issuesOf(answer: Answer): Issue[] {
  try {
    const value = parseJson(decodeUtf8(answer.body), 'refusal', { maxLength: 1 << 20 });
    if (!isJsonObject(value)) return [];
    if (value['resourceType'] === 'OperationOutcome') return objectsOf(value, 'issue').map(issueOf);
    const error = value['error'];
    if (isJsonObject(error)) {
      const text = optionalTextOf(error, 'message');
      return [
        { code: optionalTextOf(error, 'code') ?? '', ...(text === undefined ? {} : { text }) },
      ];
    }
    const type = optionalTextOf(value, 'type');
    const text = optionalTextOf(value, 'detail') ?? optionalTextOf(value, 'title');
    if (type === undefined) return [];
    return [{ code: type.replace(/^urn:cloister:/, ''), ...(text === undefined ? {} : { text }) }];
  } catch (error) {
    if (error instanceof MalformedError) return [];
    throw error;
  }
}

function issueOf(issue: JsonObject): Issue {
  const details = issue['details'];
  const coding = isJsonObject(details) ? objectsOf(details, 'coding')[0] : undefined;
  const reason = coding === undefined ? undefined : optionalTextOf(coding, 'code');
  const expression = textsOf(issue, 'expression')[0];
  const text =
    (isJsonObject(details) ? optionalTextOf(details, 'text') : undefined) ??
    optionalTextOf(issue, 'diagnostics');
  return {
    code: optionalTextOf(issue, 'code') ?? '',
    ...(reason === undefined ? {} : { reason }),
    ...(expression === undefined ? {} : { expression }),
    ...(text === undefined ? {} : { text }),
  };
}
