import type { EvidenceEnvelope, EvidenceSource } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import { merkleTree } from '@cloister/crypto';

/** So many callers share a quote at most. */
const MOST = 1024;

interface Waiting {
  readonly nonce: Bytes;
  readonly resolve: (envelope: EvidenceEnvelope) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Evidence of which one quote, and one token, serves all callers who ask while another one is made
 * (design 2.2): its nonce is the root of a Merkle tree (RFC 9162) over theirs, and each gets the
 * path of its own. Who asks alone gets evidence over its nonce itself. Making a quote takes
 * milliseconds of a processor's or a service's time, of which there may be few.
 */
export function shareQuotes(source: EvidenceSource): EvidenceSource {
  let waiting: Waiting[] = [];
  let busy = false;
  const serve = async (): Promise<void> => {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST);
      waiting = waiting.slice(MOST);
      // oxlint-disable-next-line no-await-in-loop -- those who come meanwhile share the next one
      await serveBatch(source, batch);
    }
    busy = false;
  };
  return {
    get ohttpKeys() {
      return source.ohttpKeys;
    },
    evidence(nonce) {
      if (nonce === undefined) return source.evidence();
      return new Promise((resolve, reject) => {
        waiting.push({ nonce, resolve, reject });
        if (!busy) void serve();
      });
    },
  };
}

async function serveBatch(source: EvidenceSource, batch: readonly Waiting[]): Promise<void> {
  try {
    const [first] = batch;
    if (batch.length === 1 && first !== undefined) {
      first.resolve(await source.evidence(first.nonce));
      return;
    }
    const tree = await merkleTree(batch.map(({ nonce }) => nonce));
    const envelope = await source.evidence(tree.root);
    for (const [index, { resolve }] of batch.entries()) {
      const noncePath = { index, size: batch.length, path: tree.proofOf(index) };
      resolve({ ...envelope, noncePath });
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}
