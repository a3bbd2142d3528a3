import { ChannelError } from '@cloister/channel';
import { ClientError, type ClientErrorCode } from './client-error.ts';

/** Failures of a channel that come before anything happened (design 5). */
const REFUSED_BEFORE: ReadonlySet<string> = new Set<ChannelError['code']>([
  'peer_changed',
  'no_suite',
  'clock_refused',
]);

/** Answers that leave open whether the request had its effect; all others say that it had none. */
const OPEN: ReadonlySet<ClientErrorCode> = new Set<ClientErrorCode>([
  'unavailable',
  'replayed',
  'unsure',
  'malformed_answer',
  'answer_too_large',
  'server_error',
]);

/** What says nothing about the write that one wanted to find out about. */
const LATER: ReadonlySet<ClientErrorCode> = new Set<ClientErrorCode>(['throttled', 'not_sent']);

/**
 * Whether a failure leaves open that the request had its effect: nothing answered, the answer cannot
 * be read, a copy of it came before, or the server failed, perhaps behind the point of no return.
 */
export function leavesOpen(error: unknown): boolean {
  if (error instanceof ClientError) {
    // The one failure of the storage of which records says that nothing was changed.
    const full = error.issues[0]?.reason === 'storage_full';
    return OPEN.has(error.code) && !full;
  }
  if (error instanceof ChannelError) return !REFUSED_BEFORE.has(error.code);
  return error instanceof Error && 'code' in error;
}

/** Whether the server refused a message because it had seen it before. */
function isReplayed(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'replayed';
}

/** Asks; once more, as a new message, where the first was refused as a copy. For what changes nothing. */
export async function onceMoreIfReplayed<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isReplayed(error)) throw error;
    return ask();
  }
}

/** A write, and how it is found out whether it took effect. */
export interface Write<T> {
  /** The operation in errors. */
  readonly where: string;
  readonly write: () => Promise<T>;
  /**
   * What the write would have given, where it had its effect: by reading, or by a second write that
   * cannot do the same twice. Undefined: it cannot be told.
   */
  readonly find: () => Promise<T | undefined>;
  /** Who has given up asks no more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes. Where a failure leaves open whether that had its effect, finds out; where that cannot be
 * found out either, ClientError `unsure`: whoever reads it looks before repeating. Nothing is
 * repeated that could happen twice.
 */
export async function writeSurely<T>({ where, write, find, signal }: Write<T>): Promise<T> {
  let cause: unknown;
  try {
    return await write();
  } catch (error) {
    if (!leavesOpen(error) || signal?.aborted === true) throw error;
    cause = error;
  }
  let found: T | undefined;
  try {
    found = await find();
  } catch (error) {
    signal?.throwIfAborted();
    // A plain refusal of the same is the answer that the first should have had; "not now" is none.
    const later = error instanceof ClientError && LATER.has(error.code);
    if (!leavesOpen(error) && !later) throw error;
  }
  if (found === undefined) throw new ClientError('unsure', where, { cause });
  return found;
}
