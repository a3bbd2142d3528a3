import type { FuzzRandom } from './random.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes at which readers turn: ends of ranges, signs, DER tags and lengths, JSON. */
const INTERESTING_BYTES = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x10, 0x13, 0x16, 0x17, 0x18, 0x20, 0x22,
  0x2c, 0x2d, 0x2e, 0x30, 0x31, 0x39, 0x3a, 0x40, 0x5b, 0x5c, 0x5d, 0x61, 0x7b, 0x7d, 0x7f, 0x80,
  0x81, 0x82, 0x83, 0x84, 0xa0, 0xa3, 0xc0, 0xfe, 0xff,
];
const INTERESTING_NUMBERS = [
  0, 1, 2, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 403, 404, 1023, 1024, 4095, 32_767, 32_768,
  65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];
const MAX_STACKED = 6;

type Mutator = (bytes: Bytes, random: FuzzRandom, context: MutationContext) => Bytes;

/** What mutations draw from. */
export interface MutationContext {
  /** Other inputs, to take pieces from. */
  readonly corpus: readonly Bytes[];
  /** Words of the format. */
  readonly words: readonly Bytes[];
  readonly maxLength: number;
}

const MUTATORS: readonly Mutator[] = [
  flipBit,
  setByte,
  setByte,
  addToByte,
  setNumber,
  setNumber,
  removeRange,
  repeatRange,
  insertRandom,
  copyRange,
  insertWord,
  insertWord,
  splice,
  truncate,
];

/** A changed copy: one change, or several on top of each other. */
export function mutate(bytes: Bytes, random: FuzzRandom, context: MutationContext): Bytes {
  let result = bytes.slice();
  const times = 1 + random.below(random.below(MAX_STACKED) + 1);
  for (let i = 0; i < times; i++) result = random.pick(MUTATORS)(result, random, context);
  return result.length <= context.maxLength ? result : result.slice(0, context.maxLength);
}

function flipBit(bytes: Bytes, random: FuzzRandom): Bytes {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
}

function setByte(bytes: Bytes, random: FuzzRandom): Bytes {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at] = random.pick(INTERESTING_BYTES);
  return bytes;
}

function addToByte(bytes: Bytes, random: FuzzRandom): Bytes {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) + random.below(17) - 8;
  return bytes;
}

/** A length or count: 2 or 4 bytes, in either order. */
function setNumber(bytes: Bytes, random: FuzzRandom): Bytes {
  const size = random.pick([2, 4]);
  if (bytes.length < size) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = random.below(bytes.length - size + 1);
  const value = random.pick([...INTERESTING_NUMBERS, bytes.length, bytes.length - at - size]);
  const little = random.below(2) === 0;
  if (size === 2) view.setUint16(at, value, little);
  else view.setUint32(at, value, little);
  return bytes;
}

function removeRange(bytes: Bytes, random: FuzzRandom): Bytes {
  const [start, end] = range(bytes, random);
  return join(bytes.subarray(0, start), bytes.subarray(end));
}

/** The same piece many times: what grows with it must be bounded. */
function repeatRange(bytes: Bytes, random: FuzzRandom, { maxLength }: MutationContext): Bytes {
  const [start, end] = range(bytes, random);
  const piece = bytes.subarray(start, end);
  const room = Math.max(0, maxLength - bytes.length);
  const most = piece.length === 0 ? 0 : Math.floor(room / piece.length);
  const times = Math.min(most, 1 << random.below(10));
  return join(
    bytes.subarray(0, end),
    ...Array.from({ length: times }, () => piece),
    bytes.subarray(end),
  );
}

function insertRandom(bytes: Bytes, random: FuzzRandom): Bytes {
  const at = random.below(bytes.length + 1);
  const piece = Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256));
  return join(bytes.subarray(0, at), piece, bytes.subarray(at));
}

function copyRange(bytes: Bytes, random: FuzzRandom): Bytes {
  const [start, end] = range(bytes, random);
  const at = random.below(bytes.length);
  bytes.copyWithin(at, start, end);
  return bytes;
}

function insertWord(bytes: Bytes, random: FuzzRandom, { words }: MutationContext): Bytes {
  if (words.length === 0) return setByte(bytes, random);
  const word = random.pick(words);
  const at = random.below(bytes.length + 1);
  const rest = random.below(2) === 0 ? at : Math.min(bytes.length, at + word.length);
  return join(bytes.subarray(0, at), word, bytes.subarray(rest));
}

/** The beginning of this, the end of another. */
function splice(bytes: Bytes, random: FuzzRandom, { corpus }: MutationContext): Bytes {
  const other = random.pick(corpus);
  const at = random.below(bytes.length + 1);
  const from = random.below(2) === 0 ? Math.min(at, other.length) : random.below(other.length + 1);
  return join(bytes.subarray(0, at), other.subarray(from));
}

function truncate(bytes: Bytes, random: FuzzRandom): Bytes {
  return bytes.slice(0, random.below(bytes.length + 1));
}

/** Mostly short: most structures are. */
function range(bytes: Bytes, random: FuzzRandom): readonly [number, number] {
  const start = random.below(bytes.length + 1);
  const length = random.below(1 << random.below(12));
  return [start, Math.min(bytes.length, start + length)];
}

function join(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
