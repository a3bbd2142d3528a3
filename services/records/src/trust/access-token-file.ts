import { UnavailableError } from '@cloister/service';

/**
 * The access token for the vault's interface, from the file that an identity sidecar keeps fresh: it
 * is read for every call. It authorises the call, and nothing is released for it.
 */
export function accessTokenFile(
  path: string,
  readFile: (path: string) => Promise<string>,
): () => Promise<string> {
  return async () => {
    try {
      const text = await readFile(path);
      return text.trim();
    } catch (error) {
      throw new UnavailableError('unreachable', 'access token for the vault', { cause: error });
    }
  };
}
