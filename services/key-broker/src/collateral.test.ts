import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulatedQuote } from '@cloister/attestation';
import { collateralOf } from './collateral.ts';
import { createEmptyWorld } from './scene.test.ts';

describe('collateralOf', () => {
  it('finds what the platform of a quote needs: its own, or at the attestation service', async () => {
    const world = await createEmptyWorld();
    const quote = await createSimulatedQuote(world.platform, {
      mrenclave: 'a1'.repeat(32),
      mrsigner: 'b2'.repeat(32),
      isvProdId: 1,
      isvSvn: 1,
      reportData: new Uint8Array(64),
    });
    const asked: unknown[] = [];
    const attestation = {
      collateral: async (...question: unknown[]) => {
        asked.push(question);
        return { found: true };
      },
    };
    const find = collateralOf(world.platform, attestation);
    const own = await find(quote, 'simulated-sgx-quote');
    assert.ok(own?.['tcbInfo']);
    assert.deepEqual(asked, []);
    // The same bytes as a quote of hardware: its PCK certificate says whose collateral it needs.
    assert.deepEqual(await find(quote, 'sgx-quote'), { found: true });
    const [[tee, { fmspc }]] = asked as unknown as [[string, { fmspc: string }]];
    assert.equal(tee, 'sgx');
    assert.match(fmspc, /^[0-9a-f]{12}$/);
    assert.equal(await find(new Uint8Array(3), 'sgx-quote'), undefined);
    assert.equal(await find(quote, 'snp-report'), undefined);
    assert.equal(await collateralOf(undefined)(quote, 'simulated-sgx-quote'), undefined);
    assert.equal(await collateralOf(undefined)(quote, 'sgx-quote'), undefined);
    await world.close();
  });
});
