/** Secrets without a machine that seals them: for tests. Not part of the service. */
import type { Secrets } from '@cloister/attester';
import { asBytes, type Bytes } from '@cloister/bytes';

const coded = (code: string): Error => Object.assign(new Error(code), { code });

/** Secrets in memory; `kept` may be looked at and changed. */
export function memorySecrets(kept: Map<string, Bytes> = new Map()): Required<Secrets> {
  return {
    get: async (name) => kept.get(name) ?? Promise.reject(coded('secret_missing')),
    put: async (name, value) => {
      kept.set(name, asBytes(value));
    },
    create: async (name, value) => {
      if (kept.has(name)) return false;
      kept.set(name, asBytes(value));
      return true;
    },
    remove: async (name) => {
      kept.delete(name);
    },
  };
}

/** Secrets that fail with a code, whatever is asked. */
export function failingSecrets(code: string): Required<Secrets> {
  const fail = (): Promise<never> => Promise.reject(coded(code));
  return { get: fail, put: fail, create: fail, remove: fail };
}
