import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import type { P256Key } from '@cloister/attestation';
import { asBytes, type Bytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import type { Task } from './measure.ts';

/** A public-key operation that no verifier can do without; false where it failed. */
type Operation = () => boolean;

/** So many bytes to verify by ECDSA: with a key at hand, or with one that is imported first. */
export interface EcdsaWork {
  readonly known?: readonly number[];
  readonly fresh?: readonly number[];
}

/**
 * ECDSA by node:crypto as it is called plainly, in its faster forms: signatures as DER, keys as
 * SPKI, all made ready before.
 */
export function ecdsa(curve: 'P-256' | 'P-384', work: EcdsaWork): readonly Operation[] {
  return ecdsaBy(curve, work, {
    encoding: 'der',
    prepareKey: spkiOf,
    importKey: (key) => createPublicKey({ key, format: 'der', type: 'spki' }),
    verify: (key, signature, data) => verify(digestOf(curve), data, key, signature),
  });
}

/** ECDSA by this product's own provider, which spares node:crypto its stack traces. */
export function ecdsaByProvider(curve: 'P-256' | 'P-384', work: EcdsaWork): readonly Operation[] {
  return ecdsaBy<Bytes, P256Key>(curve, work, {
    encoding: 'ieee-p1363',
    prepareKey: (key) => asBytes(spkiOf(key)).slice(curve === 'P-256' ? -64 : -96),
    importKey: (key) => {
      const by = curve === 'P-256' ? 'importP256' : 'importP384';
      const imported = NODE_EVIDENCE_CRYPTO[by](key);
      if (imported === undefined || imported instanceof Promise) throw new RangeError('no key');
      return imported;
    },
    verify: (key, signature, data) => key.verify(signature, data) === true,
  });
}

interface EcdsaForms<Raw, Key> {
  readonly encoding: 'der' | 'ieee-p1363';
  readonly prepareKey: (key: KeyObject) => Raw;
  readonly importKey: (raw: Raw) => Key;
  readonly verify: (key: Key, signature: Bytes, data: Bytes) => boolean;
}

function ecdsaBy<Raw, Key>(
  curve: 'P-256' | 'P-384',
  { known = [], fresh = [] }: EcdsaWork,
  by: EcdsaForms<Raw, Key>,
): readonly Operation[] {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const raw = by.prepareKey(publicKey);
  const ready = by.importKey(raw);
  const operationOf = (size: number, keyOf: () => Key): Operation => {
    const data = new Uint8Array(size).fill(7);
    const signer = { key: privateKey, dsaEncoding: by.encoding };
    const signature = asBytes(sign(digestOf(curve), data, signer)).slice();
    return () => by.verify(keyOf(), signature, data);
  };
  return [
    ...known.map((size) => operationOf(size, () => ready)),
    ...fresh.map((size) => operationOf(size, () => by.importKey(raw))),
  ];
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' });
}

function digestOf(curve: 'P-256' | 'P-384'): string {
  return curve === 'P-256' ? 'sha256' : 'sha384';
}

/** A certificate signed by RSASSA-PSS with a key of 4096 bits, as AMD's ASKs sign. */
export function rsaPss(size: number): Operation {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 4096 });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
  const data = new Uint8Array(size).fill(7);
  const signature = sign('sha384', data, { key: privateKey, ...pss });
  return () => verify('sha384', data, { key: publicKey, ...pss }, signature);
}

/** A floor: these operations, one after the other. */
export function floorOf(...operations: readonly Operation[]): Task {
  return () => operations.every((operation) => operation());
}
