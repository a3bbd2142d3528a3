import { type Bytes, concatBytes, MalformedError, Reader, Writer } from '@cloister/bytes';
import type { ObjectRef } from './object-ref.ts';
import { openObject, sealObject } from './sealed-object.ts';
import { importSealingKey, KEY_LENGTH, type Random, type SealingKey } from './sealing-key.ts';
import { TamperedError } from './tampered-error.ts';

/** A tenant key and its number: each that takes the place of another has a higher one. */
export interface NumberedKey {
  readonly version: number;
  readonly key: SealingKey;
}

/** A new random key and the same key wrapped by the tenant key, for storage. */
export interface NewKey {
  readonly key: SealingKey;
  readonly wrapped: Bytes;
}

/** A key out of its wrap. */
export interface UnwrappedKey {
  readonly key: SealingKey;
  /** The version of the tenant key that wraps it. */
  readonly version: number;
}

/** Wraps of the first form begin with the format of a sealed object, and name no version. */
const UNNUMBERED = 1;
const NUMBERED = 2;
const WHERE = 'a wrapped key';

/**
 * Makes a patient's key (design 4): random, and kept only as wrapped by the tenant key under its
 * name. Dropping the wrap makes everything sealed under it unreadable.
 */
export async function createWrappedKey(
  by: NumberedKey,
  tenant: string,
  id: string,
  random: Random,
): Promise<NewKey> {
  const raw = random(KEY_LENGTH);
  const wrapped = await wrap(raw, by, refOf(tenant, id), random);
  const key = await importSealingKey(id, raw);
  raw.fill(0);
  return { key, wrapped };
}

/**
 * Unwraps a key. TamperedError `not_authentic` where it was wrapped by another tenant key, under
 * another name, or is no wrap at all; `tenant_key_unknown` where it was wrapped by a version that is
 * not among `keys`: one that is not here yet, or one that was destroyed.
 */
export async function unwrapKey(
  keys: readonly NumberedKey[],
  tenant: string,
  id: string,
  wrapped: Uint8Array,
): Promise<UnwrappedKey> {
  const { raw, version } = await open(keys, refOf(tenant, id), wrapped);
  const key = await importSealingKey(id, raw);
  raw.fill(0);
  return { key, version };
}

/** Wraps a key by another tenant key (design 4); throws as `unwrapKey` does. */
export async function rewrapKey(
  keys: readonly NumberedKey[],
  to: NumberedKey,
  tenant: string,
  options: { readonly id: string; readonly wrapped: Uint8Array; readonly random: Random },
): Promise<Bytes> {
  const ref = refOf(tenant, options.id);
  const { raw } = await open(keys, ref, options.wrapped);
  const wrapped = await wrap(raw, to, ref, options.random);
  raw.fill(0);
  return wrapped;
}

const refOf = (tenant: string, id: string): ObjectRef => ({
  tenant,
  type: 'wrapped-key',
  id,
  version: 1,
});

/** Format byte, the version, and the key as a sealed object that is bound to the version. */
async function wrap(raw: Bytes, by: NumberedKey, ref: ObjectRef, random: Random): Promise<Bytes> {
  const context = encodeVersion(by.version);
  const sealed = await sealObject(by.key, ref, raw, { random, context });
  return concatBytes(new Uint8Array([NUMBERED]), context, sealed);
}

async function open(
  keys: readonly NumberedKey[],
  ref: ObjectRef,
  wrapped: Uint8Array,
): Promise<{ readonly raw: Bytes; readonly version: number }> {
  try {
    const { version, sealed } = read(wrapped);
    if (version === undefined) return await openUnnumbered(keys, ref, sealed);
    const by = keys.find((known) => known.version === version);
    if (by === undefined) throw new TamperedError('tenant_key_unknown', WHERE);
    return { raw: await openObject(by.key, ref, sealed, encodeVersion(version)), version };
  } catch (cause) {
    if (cause instanceof TamperedError && cause.code === 'tenant_key_unknown') throw cause;
    if (cause instanceof TamperedError || cause instanceof MalformedError)
      throw new TamperedError('not_authentic', WHERE, { cause });
    throw cause;
  }
}

/** Only trying tells which key opens it. */
async function openUnnumbered(
  keys: readonly NumberedKey[],
  ref: ObjectRef,
  sealed: Uint8Array,
): Promise<{ readonly raw: Bytes; readonly version: number }> {
  for (const { key, version } of keys) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- nearly always the first one
      return { raw: await openObject(key, ref, sealed), version };
    } catch (error) {
      if (!(error instanceof TamperedError)) throw error;
    }
  }
  throw new TamperedError('tenant_key_unknown', WHERE);
}

function read(wrapped: Uint8Array): { readonly version?: number; readonly sealed: Uint8Array } {
  const reader = new Reader(wrapped, WHERE);
  const format = reader.u8();
  if (format === UNNUMBERED) return { sealed: wrapped };
  if (format !== NUMBERED) throw new MalformedError('bad_value', `${WHERE}: format`);
  return { version: reader.u32be(), sealed: reader.rest() };
}

const encodeVersion = (version: number): Bytes => new Writer().u32be(version).finish();
