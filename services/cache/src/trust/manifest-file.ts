import type { ManifestFollower } from '@cloister/client';
import { ConfigError, loadTrust } from '@cloister/service';

/** What a watch over the manifest's file needs. */
export interface ManifestFileOptions {
  readonly follower: ManifestFollower;
  /** The party without whose signature nothing binds the gate. */
  readonly ownParty: string;
  /** Reads the manifest's file. */
  readonly read: () => Promise<string>;
  /** Told, once for each text, why the file's content does not count. */
  readonly onRefused: (code: string) => void;
}

/** A watch over the manifest's file. */
export interface ManifestFile {
  /** Looks at the file, and offers to the follower what is new in it. */
  check(): Promise<void>;
  /** Whether the file holds what is in force: what the next start would begin with. */
  isCurrent(): boolean;
  /** Whether it holds something else than what is in force or came before, which does not count. */
  isRefused(): boolean;
}

/**
 * Watches the manifest's file, from which the gate has started. What counts, the follower says; the
 * file may lag behind when a successor came from the broker.
 */
export function watchManifestFile(options: ManifestFileOptions): ManifestFile {
  const { follower, ownParty, read, onRefused } = options;
  /** The id of the manifest in the file, where a start by it would succeed. */
  let holds: string | undefined = follower.trust.id;
  let seen: string | undefined;
  let refused = false;
  const refuse = (code: string): void => {
    refused = true;
    onRefused(code);
  };
  const take = async (text: string): Promise<void> => {
    const offer = await follower.offer([text]);
    holds = await startWith(text, ownParty);
    refused = false;
    const code = offer.refused ?? (holds === undefined ? 'not_binding' : undefined);
    if (code !== undefined) refuse(code);
  };
  return {
    isCurrent: () => holds === follower.trust.id,
    isRefused: () => refused && holds !== follower.trust.id,
    async check() {
      let text: string;
      try {
        text = await read();
      } catch (error) {
        if (!(error instanceof Error && 'code' in error)) throw error;
        // It may be in the middle of being replaced: what is in force stays.
        if (seen !== UNREADABLE) refuse('unreadable');
        seen = UNREADABLE;
        holds = undefined;
        return;
      }
      if (text === seen) return;
      seen = text;
      await take(text);
    },
  };
}

/** No manifest file is empty: it stands for one that cannot be read. */
const UNREADABLE = '';

async function startWith(text: string, ownParty: string): Promise<string | undefined> {
  try {
    const readFile = (): Promise<string> => Promise.resolve(text);
    return (await loadTrust({ manifestFile: 'manifest', readFile, ownParty })).id;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
