import { concatBytes, equalBytes, type Bytes } from '@cloister/bytes';
import { sha256 } from './digest.ts';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The hash of one leaf (RFC 9162, section 2.1.1). */
export function merkleLeafHash(leaf: Uint8Array): Promise<Bytes> {
  return sha256(concatBytes(LEAF, leaf));
}

/** A tree over leaves, built once: for the proofs of many of them. */
export interface MerkleTree {
  readonly root: Bytes;
  /** As `merkleInclusionProof`. */
  proofOf(index: number): Bytes[];
}

/** The tree over these leaves (RFC 9162, section 2.1.1); the root over none is the hash of nothing. */
export async function merkleTree(leaves: readonly Uint8Array[]): Promise<MerkleTree> {
  const levels = await buildLevels(leaves);
  return {
    root: levels.at(-1)?.[0] ?? (await sha256(new Uint8Array(0))),
    proofOf(index) {
      if (!isIndex(index, leaves.length)) throw new RangeError('no such leaf');
      return levels.flatMap((level, height) => {
        const sibling = level[Math.floor(index / 2 ** height) ^ 1];
        return sibling === undefined ? [] : [sibling];
      });
    },
  };
}

/** The root over these leaves (RFC 9162, section 2.1.1); over none, the hash of nothing. */
export async function merkleRoot(leaves: readonly Uint8Array[]): Promise<Bytes> {
  return (await merkleTree(leaves)).root;
}

/**
 * The inclusion proof of the leaf at `index` (RFC 9162, section 2.1.3.1), from the leaf to the
 * root. RangeError where there is no such leaf.
 */
export async function merkleInclusionProof(
  leaves: readonly Uint8Array[],
  index: number,
): Promise<Bytes[]> {
  return (await merkleTree(leaves)).proofOf(index);
}

/**
 * Whether a proof shows that the leaf with this hash is at `index` in the tree of `size` leaves
 * with this root (RFC 9162, section 2.1.3.2). Never throws.
 */
export async function verifyMerkleInclusion(input: {
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}): Promise<boolean> {
  const { leafHash, index, size, proof, root } = input;
  if (!isIndex(index, size) || !areHashes([leafHash, root, ...proof])) return false;
  let position = index;
  let last = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      hash = await hashChildren(sibling, hash);
      [position, last] = skipLeftEdge(position, last);
    } else hash = await hashChildren(hash, sibling);
    position = half(position);
    last = half(last);
  }
  return last === 0 && equalBytes(hash, root);
}

/**
 * The proof that the tree over the first `size` leaves is a prefix of the tree over all of them
 * (RFC 9162, section 2.1.4.1). RangeError unless 0 < size <= number of leaves.
 */
export async function merkleConsistencyProof(
  leaves: readonly Uint8Array[],
  size: number,
): Promise<Bytes[]> {
  if (!isIndex(size - 1, leaves.length)) throw new RangeError('no such prefix');
  const hashes = await Promise.all(leaves.map(merkleLeafHash));
  const steps: Promise<Bytes>[] = [];
  let [start, end, prefix] = [0, hashes.length, size];
  // SUBPROOF: b says whether the old tree's root is known to the verifier.
  let known = true;
  while (prefix < end - start) {
    const split = start + splitOf(end - start);
    if (prefix <= split - start) {
      steps.push(rootOf(hashes.slice(split, end)));
      end = split;
    } else {
      steps.push(rootOf(hashes.slice(start, split)));
      prefix -= split - start;
      start = split;
      known = false;
    }
  }
  if (!known) steps.push(rootOf(hashes.slice(start, end)));
  return Promise.all(steps.toReversed());
}

/**
 * Whether a proof shows that the tree of `size1` leaves with root `root1` is a prefix of the tree
 * of `size2` leaves with root `root2` (RFC 9162, section 2.1.4.2). Never throws.
 */
export async function verifyMerkleConsistency(input: {
  readonly size1: number;
  readonly size2: number;
  readonly root1: Uint8Array;
  readonly root2: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): Promise<boolean> {
  const { size1, size2, root1, root2, proof } = input;
  if (!isIndex(size1 - 1, size2)) return false;
  if (size1 === size2) return proof.length === 0 && equalBytes(root1, root2);
  if (!areHashes([root1, root2, ...proof])) return false;
  const path = isPowerOfTwo(size1) ? [root1, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined || proof.length === 0) return false;
  let position = size1 - 1;
  let last = size2 - 1;
  while (position % 2 === 1) {
    position = half(position);
    last = half(last);
  }
  let [old, now] = [first, first];
  for (const hash of rest) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      old = await hashChildren(hash, old);
      now = await hashChildren(hash, now);
      [position, last] = skipLeftEdge(position, last);
    } else now = await hashChildren(now, hash);
    position = half(position);
    last = half(last);
  }
  return last === 0 && equalBytes(old, root1) && equalBytes(now, root2);
}

/** All levels from the leaf hashes to the root; a node without a sibling moves up as it is. */
async function buildLevels(leaves: readonly Uint8Array[]): Promise<Bytes[][]> {
  let level = await Promise.all(leaves.map(merkleLeafHash));
  const levels = [level];
  while (level.length > 1) {
    level = await hashLevel(level);
    levels.push(level);
  }
  return levels;
}

async function rootOf(hashes: Bytes[]): Promise<Bytes> {
  let level = hashes;
  while (level.length > 1) level = await hashLevel(level);
  return level[0] ?? sha256(new Uint8Array(0));
}

function hashLevel(level: readonly Bytes[]): Promise<Bytes[]> {
  const pairs: Promise<Bytes>[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const [left, right] = [level[i], level[i + 1]];
    if (left !== undefined) {
      pairs.push(right === undefined ? Promise.resolve(left) : hashChildren(left, right));
    }
  }
  return Promise.all(pairs);
}

function hashChildren(left: Uint8Array, right: Uint8Array): Promise<Bytes> {
  return sha256(concatBytes(NODE, left, right));
}

/** Moves up while the node is a left child: at the right edge such a node has no sibling. */
function skipLeftEdge(position: number, last: number): [number, number] {
  let [at, end] = [position, last];
  while (at % 2 === 0 && at !== 0) {
    at = half(at);
    end = half(end);
  }
  return [at, end];
}

/** The largest power of two below `size`, for a size above one. */
function splitOf(size: number): number {
  let split = 1;
  while (2 * split < size) split *= 2;
  return split;
}

function isPowerOfTwo(size: number): boolean {
  let power = 1;
  while (power < size) power *= 2;
  return power === size;
}

// Sizes are safe integers, which the 32-bit operators of JavaScript would cut off.
function half(value: number): number {
  return Math.floor(value / 2);
}

function isIndex(index: number, size: number): boolean {
  return Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size;
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every(({ length }) => length === 32);
}
