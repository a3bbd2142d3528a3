import type { Secrets } from '@cloister/attester';
import {
  type Bytes,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import { TamperedError } from '@cloister/sealing';
import { errorCode } from '@cloister/service';

/**
 * A head of the log as it is anchored: the chain's hash there, and a value that only ever grows. It
 * is one more than the number of entries, so that the empty log can be anchored too.
 */
export interface Anchored {
  readonly value: number;
  readonly hash: Bytes;
}

/**
 * Where the head of the log is kept besides the log (design 4): what a host restores from an old
 * disk does not contain what is anchored. All replicas of a deployment use the same one.
 */
export interface HeadAnchor {
  /** What was anchored last; undefined where nothing ever was. */
  read(): Promise<Anchored | undefined>;
  /** Moves the anchor from `before` to `next`; false where it is no longer at `before`. */
  advance(before: Anchored | undefined, next: Anchored): Promise<boolean>;
  /**
   * Moves the anchor back, on the party's word, from where it is. Absent where the party says so to
   * whoever keeps the anchor: a broker.
   */
  reset?(from: Anchored, to: Anchored): Promise<boolean>;
}

const NAME = 'records-log-head';

/**
 * An anchor in the service's sealed secrets: notices a database that was restored or shortened, and
 * not a host that restores the secrets with it. That needs a broker's counter.
 */
export function createSealedAnchor(secrets: Required<Secrets>): HeadAnchor {
  const read = async (): Promise<Anchored | undefined> => {
    let text: string;
    try {
      text = decodeUtf8(await secrets.get(NAME), 'log head');
    } catch (error) {
      if (errorCode(error) === 'secret_missing') return undefined;
      if (errorCode(error) === 'secret_tampered')
        throw new TamperedError('not_authentic', 'anchored log head', { cause: error });
      throw error;
    }
    const { value, position, hash } = parseJsonObject(text, 'log head');
    if (typeof hash !== 'string') throw new MalformedError('bad_value', 'log head');
    // The first form of this file named the position.
    const kept = typeof position === 'number' ? position + 1 : value;
    if (typeof kept !== 'number') throw new MalformedError('bad_value', 'log head');
    return { value: kept, hash: decodeHex(hash, 'log head') };
  };
  const move = async (
    before: Anchored | undefined,
    { value, hash }: Anchored,
  ): Promise<boolean> => {
    const now = await read();
    if (now?.value !== before?.value) return false;
    await secrets.put(NAME, encodeUtf8(JSON.stringify({ value, hash: encodeHex(hash) })));
    return true;
  };
  return { read, advance: move, reset: move };
}
