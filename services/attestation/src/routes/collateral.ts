import type { Hono } from 'hono';
import {
  encodeIntelEndorsements,
  encodeSnpEndorsements,
  type SnpQuery,
} from '@cloister/attestation';
import { problem } from '@cloister/service';
import type { CollateralStore } from '../collateral/collateral-store.ts';

const CACHE = { 'cache-control': 'public, max-age=600' };

/**
 * `GET /collateral/{sgx|tdx}?fmspc=&ca=` and `/collateral/snp?product=&chip=&tcb=`: the endorsements
 * object of design 3.7. `tcb` has the SVNs of REPORTED_TCB with dots between them.
 */
export function collateralRoutes(app: Hono, store: CollateralStore, now: () => Date): void {
  for (const tee of ['sgx', 'tdx'] as const)
    app.get(`/collateral/${tee}`, async (c) => {
      const fmspc = c.req.query('fmspc')?.toLowerCase() ?? '';
      const ca = c.req.query('ca')?.toLowerCase();
      if (!/^[0-9a-f]{12}$/.test(fmspc)) return problem(400, 'bad_fmspc', 'fmspc: 12 hex digits');
      if (ca !== 'processor' && ca !== 'platform')
        return problem(400, 'bad_ca', 'ca: processor or platform');
      const collateral = await store.find({ tee, fmspc, ca }, now());
      if (collateral === undefined) return problem(404, 'no_collateral');
      return c.json(encodeIntelEndorsements(collateral), 200, CACHE);
    });
  app.get('/collateral/snp', async (c) => {
    const { product = '', chip = '', tcb = '' } = c.req.query();
    const line = PRODUCTS.find((one) => one.toLowerCase() === product.toLowerCase());
    if (line === undefined) return problem(400, 'bad_product', 'product: Milan, Genoa or Turin');
    if (!/^[0-9a-f]{16,128}$/i.test(chip)) return problem(400, 'bad_chip', 'chip: hex digits');
    if (!/^\d{1,3}(?:\.\d{1,3}){3,4}$/.test(tcb)) return problem(400, 'bad_tcb', 'tcb: SVNs');
    // Chips have a VCEK; the keys of providers (VLEK) are found by no chip.
    const signer = 'vcek';
    const query = { product: line, signer, chipId: chip.toLowerCase(), tcb: tcbOf(tcb) } as const;
    const found = await store.findSnp(query);
    if (found === undefined) return problem(404, 'no_collateral');
    return c.json(encodeSnpEndorsements(found, signer), 200, CACHE);
  });
}

const PRODUCTS = ['Milan', 'Genoa', 'Turin'] as const;

/** Five SVNs have `fmc` before the others. */
function tcbOf(svns: string): SnpQuery['tcb'] {
  const numbers = svns.split('.').map(Number);
  const [bootloader = 0, tee = 0, snp = 0, microcode = 0] = numbers.slice(-4);
  const [fmc] = numbers.slice(0, -4);
  return { ...(fmc === undefined ? {} : { fmc }), bootloader, tee, snp, microcode };
}
