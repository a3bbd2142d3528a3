import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeSnpEndorsements, snpEntry } from '@cloister/attestation';
import { decodePem, decodeUtf8 } from '@cloister/bytes';
import { sharedMissing } from '../../../../tests/shared.ts';
import { createApp } from '../app.ts';
import { createCollateralStore } from '../collateral/collateral-store.ts';
import { makeDeps, sharedBytes } from '../fixture.test.ts';

describe('GET /collateral/snp', { skip: sharedMissing }, () => {
  it('gives the certificates of a chip for its TCB, and of no other', async () => {
    const pem = decodeUtf8(sharedBytes('maa/snp/maa-sample.vcek-chain.pem'));
    const [vek, ask, ark] = decodePem(pem, 'CERTIFICATE');
    assert.ok(vek && ask && ark);
    const entry = snpEntry({ vek, ask, ark });
    assert.equal(entry.kind, 'snp');
    const { chipId, product, tcb } = entry.query;
    const { deps } = await makeDeps({ collateral: createCollateralStore({ entries: [entry] }) });
    const app = createApp(deps);
    const get = (changes: Record<string, string> = {}) => {
      const svns = [tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode].join('.');
      const query = { product: product.toLowerCase(), chip: chipId, tcb: svns, ...changes };
      return app.request(`/collateral/snp?${new URLSearchParams(query).toString()}`);
    };
    const found = await get({ chip: chipId.toUpperCase() });
    assert.deepEqual(await found.json(), encodeSnpEndorsements({ vek, ask, ark }, 'vcek'));
    for (const [changes, status] of [
      [{ product: 'Genoa' }, 404],
      [{ chip: `${chipId.slice(0, -2)}${chipId.endsWith('00') ? '01' : '00'}` }, 404],
      [{ tcb: `${tcb.bootloader}.${tcb.tee}.${tcb.snp}.${tcb.microcode + 1}` }, 404],
      [{ tcb: `0.${tcb.bootloader}.${tcb.tee}.${tcb.snp}.${tcb.microcode}` }, 404],
      [{ product: 'Naples' }, 400],
      [{ chip: 'no hex' }, 400],
      [{ tcb: '1.2' }, 400],
    ] as const)
      assert.equal((await get(changes)).status, status, JSON.stringify(changes));
  });
});
