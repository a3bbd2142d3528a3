import {
  decodeUtf8,
  encodeHex,
  decodeHex,
  encodeUtf8,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import { type LogHead, TamperedError } from '@cloister/sealing';
import { errorCode } from '@cloister/service';

/**
 * Where the head of the log is kept besides the log. Now sealed to the platform in a file of its
 * own; later the hospital's broker with a counter (design 4), which a host cannot roll back.
 */
export interface HeadAnchor {
  /** The head that was anchored last; undefined where none ever was. */
  read(): Promise<LogHead | undefined>;
  write(head: LogHead): Promise<void>;
}

/** What the anchor is kept in: the sealed secrets of the service. */
export interface AnchorSecrets {
  get(name: string): Promise<Uint8Array>;
  put(name: string, value: Uint8Array): Promise<void>;
}

const NAME = 'records-log-head';

/** An anchor in the service's sealed secrets. Notices a shortened database, not a restored disk. */
export function createSealedAnchor(secrets: AnchorSecrets): HeadAnchor {
  return {
    async read() {
      let text: string;
      try {
        text = decodeUtf8(await secrets.get(NAME), 'log head');
      } catch (error) {
        if (errorCode(error) === 'secret_missing') return undefined;
        if (errorCode(error) === 'secret_tampered')
          throw new TamperedError('not_authentic', 'anchored log head', { cause: error });
        throw error;
      }
      const { position, hash } = parseJsonObject(text, 'log head');
      if (typeof position !== 'number' || typeof hash !== 'string')
        throw new MalformedError('bad_value', 'log head');
      return { position, hash: decodeHex(hash, 'log head') };
    },
    write: ({ position, hash }) =>
      secrets.put(NAME, encodeUtf8(JSON.stringify({ position, hash: encodeHex(hash) }))),
  };
}
