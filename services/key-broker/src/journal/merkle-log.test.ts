import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8 } from '@cloister/bytes';
import {
  merkleConsistencyProof,
  merkleInclusionProof,
  merkleLeafHash,
  merkleRoot,
  verifyMerkleConsistency,
  verifyMerkleInclusion,
} from '@cloister/crypto';
import { MerkleLog } from './merkle-log.ts';

const leaves = Array.from({ length: 37 }, (_, i) => encodeUtf8(`leaf ${i}`));
const grown = (size: number): MerkleLog => {
  const log = new MerkleLog();
  for (const leaf of leaves.slice(0, size)) log.append(leaf);
  return log;
};

describe('MerkleLog', () => {
  it('has the roots of RFC 9162, of every size and of every prefix', async () => {
    const log = grown(leaves.length);
    for (let size = 0; size <= leaves.length; size += 1) {
      const expected = await merkleRoot(leaves.slice(0, size));
      assert.deepEqual(grown(size).root(), expected);
      assert.deepEqual(log.root(size), expected);
    }
  });

  it('gives the inclusion proofs that verify', async () => {
    const log = grown(leaves.length);
    for (const size of [1, 2, 3, 8, 13, 37])
      for (let index = 0; index < size; index += 1) {
        const proof = log.inclusionProof(index, size);
        assert.deepEqual(proof, await merkleInclusionProof(leaves.slice(0, size), index));
        const leafHash = await merkleLeafHash(leaves[index] ?? new Uint8Array(0));
        const root = log.root(size);
        assert.ok(await verifyMerkleInclusion({ leafHash, index, size, proof, root }));
      }
  });

  it('gives the consistency proofs that verify', async () => {
    const log = grown(leaves.length);
    for (const size2 of [1, 2, 7, 16, 37])
      for (let size1 = 1; size1 <= size2; size1 += 1) {
        const proof = log.consistencyProof(size1, size2);
        assert.deepEqual(proof, await merkleConsistencyProof(leaves.slice(0, size2), size1));
        const [root1, root2] = [log.root(size1), log.root(size2)];
        assert.ok(await verifyMerkleConsistency({ size1, size2, root1, root2, proof }));
      }
  });

  it('refuses what it does not have', () => {
    const log = grown(5);
    assert.throws(() => log.root(6), RangeError);
    assert.throws(() => log.root(-1), RangeError);
    assert.throws(() => log.inclusionProof(5, 5), RangeError);
    assert.throws(() => log.inclusionProof(0, 6), RangeError);
    assert.throws(() => log.consistencyProof(0, 5), RangeError);
    assert.throws(() => log.consistencyProof(3, 6), RangeError);
    assert.throws(() => log.consistencyProof(5, 4), RangeError);
  });
});
