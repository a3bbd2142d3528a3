import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createSimulatedQuote, VerificationCache } from '@cloister/attestation';
import { b64, makeSimulated } from './fixture.test.ts';

/** The garbage collector, which Node hides. */
function exposeGc(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

it('thousands of attestations leave nothing behind', async () => {
  const gc = exposeGc();
  // Small caches: they are full before memory is looked at, and every quote displaces another.
  const cache = new VerificationCache({ entries: 8, attestationKeys: 32 });
  const { platform, deps } = await makeSimulated({ cache });
  const bodies = await Promise.all(
    Array.from({ length: 64 }, async (_, i) => {
      const mrenclave = i.toString(16).padStart(64, '0');
      const facts = { mrenclave, mrsigner: '2b'.repeat(32), isvProdId: 1, isvSvn: 1 };
      const reportData = new Uint8Array(64);
      const quote = b64(await createSimulatedQuote(platform, { ...facts, reportData }));
      return new TextEncoder().encode(
        JSON.stringify({
          quote,
          ...(i % 2 === 0
            ? {}
            : { draftPolicyForAttestation: `version=1.0;authorizationrules{=>permit();};//${i}` }),
        }),
      );
    }),
  );
  const attestAll = async (rounds: number): Promise<number> => {
    for (let round = 0; round < rounds; round++)
      for (const body of bodies) {
        const { status } = await deps.answerAttest('Simulated', '2025-06-01', body);
        assert.equal(status, 200);
      }
    gc();
    return process.memoryUsage().heapUsed;
  };
  await attestAll(8);
  const early = await attestAll(8);
  const late = await attestAll(32);
  const perAttestation = (late - early) / (32 * bodies.length);
  // What the log of this test keeps is some 150 bytes each.
  assert.ok(perAttestation < 400, `${perAttestation.toFixed(0)} bytes each`);
});
