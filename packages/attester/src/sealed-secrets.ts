import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asBytes, concatBytes, encodeUtf8, equalBytes, type Bytes } from '@cloister/bytes';
import { AttesterError } from './attester-error.ts';
import { createFile, isCode, replaceFile } from './files.ts';
import type { SimulatedMachine } from './simulated-machine.ts';

/** Where a service's secrets come from: sealed files now, a key broker later. */
export interface Secrets {
  /** The secret; AttesterError `secret_missing` where there is none. */
  get(name: string): Promise<Bytes>;
  /** Keeps a secret under a name, in place of what was there. */
  put?(name: string, value: Uint8Array): Promise<void>;
  /** Keeps a secret where there is none of that name yet; says whether it did. */
  create?(name: string, value: Uint8Array): Promise<boolean>;
  /** Forgets a secret. */
  remove?(name: string): Promise<void>;
}

/** Whose secrets these are. */
export interface SealedSecretsOptions {
  readonly folder: string;
  readonly platform: SimulatedMachine;
  readonly mrsigner: string;
  readonly isvProdId: number;
}

const MAGIC = encodeUtf8('CLSEAL01');
const SALT = 32;
/** Each file has a key of its own from a fresh salt, so the nonce may stand still. */
const NONCE = new Uint8Array(12);

/**
 * Secrets in files that only the same product of the same signer opens on the same platform, as
 * with SGX's MRSIGNER sealing policy. One file per secret: `CLSEAL01`, a 32-byte salt, AES-256-GCM
 * under HKDF-SHA-256(sealing root, salt, info = name, signer, product). A host can put back an
 * older file: what must not be rolled back is not kept here.
 */
export function openSealedSecrets(options: SealedSecretsOptions): Required<Secrets> {
  const { folder, platform, mrsigner, isvProdId } = options;
  const fileOf = (name: string): string => {
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(name)) throw new AttesterError('secret_missing', 'name');
    return join(folder, `${name}.sealed`);
  };
  const keyOf = async (name: string, salt: Bytes): Promise<CryptoKey> => {
    const root = asBytes(platform.sealingRoot);
    const info = encodeUtf8(`cloister sealed secret\n${name}\n${mrsigner}\n${isvProdId}`);
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt, info };
    const base = await crypto.subtle.importKey('raw', root, 'HKDF', false, ['deriveKey']);
    const aes = { name: 'AES-GCM', length: 256 };
    return crypto.subtle.deriveKey(hkdf, base, aes, false, ['encrypt', 'decrypt']);
  };
  const parameters = { name: 'AES-GCM', iv: NONCE, additionalData: MAGIC };
  const seal = async (name: string, value: Uint8Array): Promise<Bytes> => {
    const salt = crypto.getRandomValues(new Uint8Array(SALT));
    const key = await keyOf(name, salt);
    const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters, key, asBytes(value)));
    return concatBytes(MAGIC, salt, sealed);
  };
  return {
    get: async (name) => {
      const file = await readSealed(fileOf(name), name);
      const salt = file.slice(MAGIC.length, MAGIC.length + SALT);
      const key = await keyOf(name, salt);
      const sealed = file.subarray(MAGIC.length + SALT);
      try {
        return new Uint8Array(await crypto.subtle.decrypt(parameters, key, sealed));
      } catch (error) {
        throw new AttesterError('secret_tampered', name, { cause: error });
      }
    },
    put: async (name, value) => replaceFile(fileOf(name), await seal(name, value)),
    create: async (name, value) => createFile(fileOf(name), await seal(name, value)),
    remove: async (name) => rm(fileOf(name), { force: true }),
  };
}

async function readSealed(file: string, name: string): Promise<Bytes> {
  let content: Bytes;
  try {
    content = new Uint8Array(await readFile(file));
  } catch (error) {
    const code = isCode(error, 'ENOENT') ? 'secret_missing' : 'secret_unreadable';
    throw new AttesterError(code, name, { cause: error });
  }
  if (!equalBytes(content.subarray(0, MAGIC.length), MAGIC) || content.length < MAGIC.length + SALT)
    throw new AttesterError('secret_tampered', name);
  return content;
}
