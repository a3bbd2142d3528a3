import { routeTemplate, type SafeText } from '../log.ts';
import { watchText } from '../watch-text.ts';

/** Where the manifest's file is read, who takes it in, and who is told why it does not count. */
export interface ManifestWatch {
  readonly read: () => Promise<string>;
  /** Takes manifest files in; `refused` says why the newest does not count. */
  readonly offer: (texts: readonly string[]) => Promise<{ readonly refused?: string }>;
  readonly onRefused: (code: SafeText) => void;
}

/** Looks at the manifest's file, which somebody may replace, each second; gives what ends it. */
export function watchManifest({ read, offer, onRefused }: ManifestWatch): () => void {
  return watchText({
    read,
    onText: async (text) => {
      const { refused } = await offer([text]);
      if (refused !== undefined) onRefused(routeTemplate(refused));
    },
    onFailure: () => onRefused(routeTemplate('unreadable')),
  });
}
