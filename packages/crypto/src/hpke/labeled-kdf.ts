import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import type { HpkePrimitives } from './primitives.ts';

const EMPTY: Bytes = new Uint8Array();
const VERSION = encodeUtf8('HPKE-v1');

/** HKDF-Extract (RFC 5869 section 2.2) with SHA-256. */
export async function hkdfExtract(
  primitives: HpkePrimitives,
  salt: Bytes,
  ikm: Bytes,
): Promise<Bytes> {
  return primitives.hmacSha256(salt, ikm);
}

/** HKDF-Expand (RFC 5869 section 2.3) with SHA-256. */
export async function hkdfExpand(
  primitives: HpkePrimitives,
  prk: Bytes,
  info: Bytes,
  length: number,
): Promise<Bytes> {
  if (length > 255 * 32) throw new RangeError('HKDF-Expand gives at most 8160 bytes');
  const blocks: Bytes[] = [];
  let block = EMPTY;
  for (let i = 1; blocks.length * 32 < length; i++) {
    // oxlint-disable-next-line no-await-in-loop -- each block of HKDF-Expand is made from the one before
    block = await primitives.hmacSha256(prk, concatBytes(block, info, Uint8Array.of(i)));
    blocks.push(block);
  }
  return concatBytes(...blocks).slice(0, length);
}

/** LabeledExtract and LabeledExpand of RFC 9180 section 4 under one suite id. */
export interface LabeledKdf {
  extract(salt: Bytes, label: string, ikm: Bytes): Promise<Bytes>;
  expand(prk: Bytes, label: string, info: Bytes, length: number): Promise<Bytes>;
}

/** The labelled HKDF-SHA256 of RFC 9180 section 4 for a KEM's or a suite's id. */
export function createLabeledKdf(primitives: HpkePrimitives, suiteId: Bytes): LabeledKdf {
  const prefix = concatBytes(VERSION, suiteId);
  return {
    extract: (salt, label, ikm) =>
      hkdfExtract(primitives, salt, concatBytes(prefix, encodeUtf8(label), ikm)),
    expand: (prk, label, info, length) => {
      const labeled = concatBytes(encodeUint16(length), prefix, encodeUtf8(label), info);
      return hkdfExpand(primitives, prk, labeled, length);
    },
  };
}

/** I2OSP(value, 2) of RFC 8017. */
export function encodeUint16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff);
}
