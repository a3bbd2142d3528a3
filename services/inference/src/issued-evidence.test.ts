import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EvidenceEnvelope } from '@cloister/attestation';
import { encodeHex, type Bytes } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { rememberIssued } from './issued-evidence.ts';

function setUp(): {
  issued: ReturnType<typeof rememberIssued>;
  pass: (seconds: number) => void;
  made: () => number;
} {
  let made = 0;
  let time = 0;
  const source = {
    evidence: (): Promise<EvidenceEnvelope> =>
      Promise.resolve({
        format: 'simulated-sgx-quote' as const,
        evidence: Uint8Array.of(++made),
        runtimeData: new Uint8Array(0),
        tokens: [],
      }),
  };
  return {
    issued: rememberIssued(source, { lease: () => 900, now: () => new Date(time) }),
    pass: (seconds) => (time += 1000 * seconds),
    made: () => made,
  };
}
const digestOf = async (bytes: Bytes): Promise<string> => encodeHex(await sha256(bytes));

describe('rememberIssued', () => {
  it('knows the evidence that it gave, for the lease', async () => {
    const { issued, pass } = setUp();
    const { evidence } = await issued.evidence();
    const digest = await digestOf(evidence);
    assert.equal(issued.isIssued(digest), true);
    assert.equal(issued.isIssued('00'.repeat(32)), false);
    pass(899);
    assert.equal(issued.isIssued(digest), true);
    pass(1);
    assert.equal(issued.isIssued(digest), false);
  });

  it('gives the newest, and makes evidence where there is none', async () => {
    const { issued, pass, made } = setUp();
    const first = await issued.newest();
    assert.equal(first, await digestOf(Uint8Array.of(1)));
    assert.equal(await issued.newest(), first);
    await issued.evidence();
    assert.equal(await issued.newest(), await digestOf(Uint8Array.of(2)));
    pass(900);
    assert.equal(await issued.newest(), await digestOf(Uint8Array.of(3)));
    assert.equal(made(), 3);
  });
});
