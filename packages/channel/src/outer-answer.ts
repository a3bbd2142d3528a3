import { decodeUtf8, MalformedError, parseJsonObject, joinPieces } from '@cloister/bytes';
import type { Bytes } from '@cloister/bytes';
import type { Field } from './binary-http/message.ts';
import { ChannelError } from './channel-error.ts';
import { mediaTypeOf } from './media-types.ts';
import { DATE_PROBLEM, KEY_PROBLEM, PROBLEM_TYPE } from './problem.ts';
import { readPieces } from './wire/byte-stream.ts';
import type { WireAnswer } from './wire/wire-transport.ts';

const MAX_PROBLEM_BYTES = 16_384;

/**
 * What a plain answer means: whether the key is stale, and nothing else. Everything that is not of the
 * type that was asked for is a failure of whoever stands between, and is never shown.
 */
export async function expectEncapsulated(
  answer: WireAnswer,
  type: string,
): Promise<'encapsulated' | 'stale_key'> {
  const { status } = answer;
  if (status === 200 && mediaTypeOf(answer) === type) return 'encapsulated';
  // 400 by the RFC's example, 422 elsewhere.
  if ((status === 400 || status === 422) && mediaTypeOf(answer) === PROBLEM_TYPE) {
    const body = await readAnswer(answer, MAX_PROBLEM_BYTES);
    if (body !== undefined && problemType(joinPieces(body)) === KEY_PROBLEM) return 'stale_key';
  } else answer.cancel();
  throw new ChannelError('not_encapsulated', { status });
}

/** The whole body in its pieces, or undefined where it is longer than `limit`. */
export async function readAnswer(
  { body }: WireAnswer,
  limit: number,
): Promise<readonly Bytes[] | undefined> {
  try {
    return await readPieces(body, limit);
  } catch (cause) {
    throw new ChannelError('transport_failed', { cause });
  }
}

/** The gateway's time where it refused the Date of the request (RFC 9458 section 6.5.2). */
export function refusedClock(
  { status, headers }: { readonly status: number; readonly headers: readonly Field[] },
  content: Bytes,
): number | undefined {
  if (!isProblem(status, headers) || problemType(content) !== DATE_PROBLEM) return undefined;
  const time = Date.parse(fieldOf(headers, 'date'));
  return Number.isNaN(time) ? undefined : time;
}

/** Whether an inner answer may be the one that refuses a Date. */
export function isProblem(status: number, headers: readonly Field[]): boolean {
  return status === 400 && fieldOf(headers, 'content-type') === PROBLEM_TYPE;
}

function fieldOf(headers: readonly Field[], wanted: string): string {
  return headers.find(([name]) => name === wanted)?.[1] ?? '';
}

function problemType(body: Bytes): unknown {
  try {
    return parseJsonObject(decodeUtf8(body))['type'];
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
