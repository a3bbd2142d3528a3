import { parseJson } from '@cloister/bytes';
import type { KeptManifests } from './agreement.ts';

const KEY = 'cloister.manifests';
/** More than so much is not what this page has kept. */
const MAX_LENGTH = 4 << 20;
const MAX_COUNT = 64;

/** Signed manifests in the browser's storage: public, verified anew at every visit, nothing else. */
export function keptManifests(storage: () => Storage = () => localStorage): KeptManifests {
  return {
    read() {
      try {
        const value = parseJson(storage().getItem(KEY) ?? '[]', 'kept', { maxLength: MAX_LENGTH });
        if (!Array.isArray(value)) return [];
        return value.filter((text) => typeof text === 'string').slice(0, MAX_COUNT);
      } catch (error) {
        if (isNothing(error)) return [];
        throw error;
      }
    },
    keep(texts) {
      try {
        storage().setItem(KEY, JSON.stringify(texts.slice(-MAX_COUNT)));
      } catch (error) {
        if (!isNothing(error)) throw error;
      }
    },
  };
}

/** A browser that keeps nothing, or has kept something else, costs no more than asking the broker again. */
function isNothing(error: unknown): boolean {
  return (
    error instanceof DOMException || (error instanceof Error && error.name === 'MalformedError')
  );
}
