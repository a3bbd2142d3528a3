import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeHex, encodeHex, type Bytes } from '@cloister/bytes';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import {
  merkleConsistencyProof,
  merkleInclusionProof,
  merkleLeafHash,
  merkleRoot,
  verifyMerkleConsistency,
  verifyMerkleInclusion,
} from './merkle.ts';

interface Vectors {
  leafInputs: string[];
  roots: string[];
  nodeHashes: string[][];
  allInclusionProofs: { index: number; size: number; proof: string[] }[];
  allConsistencyProofs: { size1: number; size2: number; proof: string[] }[];
  inclusionProbes: {
    name: string;
    index: number;
    size: number;
    root: string;
    leafHash: string;
    proof: string[];
    valid: boolean;
  }[];
  consistencyProbes: {
    name: string;
    size1: number;
    size2: number;
    root1: string;
    root2: string;
    proof: string[];
    valid: boolean;
  }[];
}

const hexes = (list: string[]) => list.map((text) => decodeHex(text));

describe('Merkle trees: vectors of RFC 9162', { skip: sharedMissing }, () => {
  const vectors = sharedMissing
    ? undefined
    : (JSON.parse(readFileSync(shared('vectors/protocol/merkle-rfc9162.json'), 'utf8')) as Vectors);
  const {
    leafInputs = [],
    roots = [],
    nodeHashes = [],
    allInclusionProofs = [],
    allConsistencyProofs = [],
    inclusionProbes = [],
    consistencyProbes = [],
  } = vectors ?? {};
  const leaves = hexes(leafInputs);

  it('hashes leaves and roots', async () => {
    assert.equal(roots.length, 9);
    for (const [size, root] of roots.entries()) {
      assert.equal(encodeHex(await merkleRoot(leaves.slice(0, size))), root);
    }
    const leafHashes = await Promise.all(leaves.map(merkleLeafHash));
    assert.deepEqual(leafHashes.map(encodeHex), nodeHashes[0]);
  });

  it('makes every inclusion proof', async () => {
    assert.equal(allInclusionProofs.length, 36);
    for (const { index, size, proof } of allInclusionProofs) {
      const made = await merkleInclusionProof(leaves.slice(0, size), index);
      assert.deepEqual(made.map(encodeHex), proof, `${index} of ${size}`);
    }
  });

  it('makes every consistency proof', async () => {
    assert.equal(allConsistencyProofs.length, 36);
    for (const { size1, size2, proof } of allConsistencyProofs) {
      const made = await merkleConsistencyProof(leaves.slice(0, size2), size1);
      assert.deepEqual(made.map(encodeHex), proof, `${size1} in ${size2}`);
    }
  });

  for (const probe of inclusionProbes) {
    it(`${probe.name}: ${probe.valid ? 'holds' : 'refused'}`, async () => {
      const { index, size, valid } = probe;
      const leafHash = decodeHex(probe.leafHash);
      const [root, proof] = [decodeHex(probe.root), hexes(probe.proof)];
      assert.equal(await verifyMerkleInclusion({ leafHash, index, size, proof, root }), valid);
    });
  }

  for (const probe of consistencyProbes) {
    it(`${probe.name}: ${probe.valid ? 'holds' : 'refused'}`, async () => {
      const { size1, size2, valid } = probe;
      const [root1, root2] = [decodeHex(probe.root1), decodeHex(probe.root2)];
      const proof = hexes(probe.proof);
      assert.equal(await verifyMerkleConsistency({ size1, size2, root1, root2, proof }), valid);
    });
  }
});

describe('merkleInclusionProof', () => {
  it('verifies for every leaf of a tree, and for no other index, size, root or proof', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        fc.nat(),
        async (leaves, seed, bit) => {
          const size = leaves.length;
          const index = seed % size;
          const root = await merkleRoot(leaves);
          const proof = await merkleInclusionProof(leaves, index);
          const leafHash = await merkleLeafHash(leaves[index] ?? new Uint8Array(0));
          const good = { leafHash, index, size, proof, root };
          assert.equal(await verifyMerkleInclusion(good), true);
          const flip = (hash: Bytes) => {
            const copy = hash.slice();
            copy[(bit >> 3) % 32] = (copy[(bit >> 3) % 32] ?? 0) ^ (1 << (bit & 7));
            return copy;
          };
          for (const bad of [
            { ...good, leafHash: flip(leafHash) },
            { ...good, root: flip(root) },
            { ...good, index: size },
            { ...good, index: -1 },
            { ...good, index: index + 0.5 },
            { ...good, size: index },
            { ...good, size: Number.NaN },
            { ...good, proof: [...proof, root] },
            ...(proof.length > 0 ? [{ ...good, proof: proof.slice(1) }] : []),
            ...proof.map((_, i) => ({
              ...good,
              proof: proof.map((h, j) => (i === j ? flip(h) : h)),
            })),
          ]) {
            assert.equal(await verifyMerkleInclusion(bad), false);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuses an index outside the tree', async () => {
    await assert.rejects(merkleInclusionProof([], 0), RangeError);
    await assert.rejects(merkleInclusionProof([new Uint8Array(1)], 1), RangeError);
  });

  it('does not take an inner node for a leaf', async () => {
    const leaves = [Uint8Array.of(1), Uint8Array.of(2)];
    const [left, right] = await Promise.all(leaves.map(merkleLeafHash));
    assert.ok(left && right);
    const forged = new Uint8Array([...left, ...right]);
    assert.notDeepEqual(await merkleLeafHash(forged), await merkleRoot(leaves));
  });

  it('keeps indices above 2^32 exact', async () => {
    const [a, b] = [await merkleLeafHash(Uint8Array.of(1)), await merkleLeafHash(Uint8Array.of(2))];
    const root = await merkleRoot([Uint8Array.of(1), Uint8Array.of(2)]);
    const proof = [b];
    assert.ok(await verifyMerkleInclusion({ leafHash: a, index: 0, size: 2, proof, root }));
    for (const size of [2 ** 32 + 2, 2 ** 33, Number.MAX_SAFE_INTEGER]) {
      const index = 2 ** 32;
      assert.equal(await verifyMerkleInclusion({ leafHash: a, index, size, proof, root }), false);
    }
  });
});

describe('merkleConsistencyProof', () => {
  it('verifies for every prefix, and not for another tree', async () => {
    const leaves = Array.from({ length: 17 }, (_, i) => Uint8Array.of(i));
    const root2 = await merkleRoot(leaves);
    const other = await merkleRoot(leaves.slice(1));
    for (let size1 = 1; size1 <= 17; size1++) {
      const root1 = await merkleRoot(leaves.slice(0, size1));
      const proof = await merkleConsistencyProof(leaves, size1);
      const good = { size1, size2: 17, root1, root2, proof };
      assert.equal(await verifyMerkleConsistency(good), true, `${size1}`);
      assert.equal(await verifyMerkleConsistency({ ...good, root1: other }), false);
      assert.equal(await verifyMerkleConsistency({ ...good, root2: other }), false);
      assert.equal(await verifyMerkleConsistency({ ...good, proof: [...proof, root1] }), false);
    }
  });

  it('refuses prefixes that are none', async () => {
    await assert.rejects(merkleConsistencyProof([Uint8Array.of(1)], 0), RangeError);
    await assert.rejects(merkleConsistencyProof([Uint8Array.of(1)], 2), RangeError);
    const root = await merkleRoot([]);
    const proof: Bytes[] = [];
    const input = { size1: 0, size2: 0, root1: root, root2: root, proof };
    assert.equal(await verifyMerkleConsistency(input), false);
  });
});
