import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import { after, type Awaitable } from './awaitable.ts';
import type { HpkePrimitives } from './primitives.ts';

const EMPTY: Bytes = new Uint8Array();
const VERSION = encodeUtf8('HPKE-v1');
const HASH_SIZE = 32;

/** HKDF-Extract (RFC 5869 section 2.2) with SHA-256; the parts of `ikm` count as one. */
export function hkdfExtract(
  primitives: HpkePrimitives,
  salt: Bytes,
  ...ikm: readonly Bytes[]
): Awaitable<Bytes> {
  return primitives.hmacSha256(salt, ...ikm);
}

/** HKDF-Expand (RFC 5869 section 2.3) with SHA-256; the parts of `info` count as one. */
export function hkdfExpand(
  primitives: HpkePrimitives,
  prk: Bytes,
  length: number,
  ...info: readonly Bytes[]
): Awaitable<Bytes> {
  if (length > 255 * HASH_SIZE) throw new RangeError('HKDF-Expand gives at most 8160 bytes');
  if (length > HASH_SIZE) return expandBlocks(primitives, prk, length, info);
  return after(primitives.hmacSha256(prk, ...info, Uint8Array.of(1)), (block) =>
    block.length === length ? block : block.slice(0, length),
  );
}

async function expandBlocks(
  primitives: HpkePrimitives,
  prk: Bytes,
  length: number,
  info: readonly Bytes[],
): Promise<Bytes> {
  const blocks: Bytes[] = [];
  let block = EMPTY;
  for (let i = 1; blocks.length * HASH_SIZE < length; i++) {
    // oxlint-disable-next-line no-await-in-loop -- each block of HKDF-Expand is made from the one before
    block = await primitives.hmacSha256(prk, block, ...info, Uint8Array.of(i));
    blocks.push(block);
  }
  return concatBytes(...blocks).slice(0, length);
}

/** LabeledExtract and LabeledExpand of RFC 9180 section 4 under one suite id. */
export interface LabeledKdf {
  extract(salt: Bytes, label: string, ikm: Bytes): Awaitable<Bytes>;
  expand(prk: Bytes, label: string, info: Bytes, length: number): Awaitable<Bytes>;
}

/** The labelled HKDF-SHA256 of RFC 9180 section 4 for a KEM's or a suite's id. */
export function createLabeledKdf(primitives: HpkePrimitives, suiteId: Bytes): LabeledKdf {
  const prefix = concatBytes(VERSION, suiteId);
  // A handful of labels, each used for every message.
  const labels = new Map<string, Bytes>();
  const labeled = (label: string): Bytes => {
    const known = labels.get(label) ?? concatBytes(prefix, encodeUtf8(label));
    labels.set(label, known);
    return known;
  };
  return {
    extract: (salt, label, ikm) => hkdfExtract(primitives, salt, labeled(label), ikm),
    expand: (prk, label, info, length) =>
      hkdfExpand(primitives, prk, length, encodeUint16(length), labeled(label), info),
  };
}

/** I2OSP(value, 2) of RFC 8017. */
export function encodeUint16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff);
}
