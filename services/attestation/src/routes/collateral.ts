import type { Hono } from 'hono';
import { encodeIntelEndorsements } from '@cloister/attestation';
import { problem } from '@cloister/service';
import type { CollateralStore } from '../collateral/collateral-store.ts';

/** `GET /collateral/{sgx|tdx}?fmspc=&ca=`: the endorsements object of design 3.7. */
export function collateralRoutes(app: Hono, store: CollateralStore, now: () => Date): void {
  for (const tee of ['sgx', 'tdx'] as const)
    app.get(`/collateral/${tee}`, (c) => {
      const fmspc = c.req.query('fmspc')?.toLowerCase() ?? '';
      const ca = c.req.query('ca')?.toLowerCase();
      if (!/^[0-9a-f]{12}$/.test(fmspc)) return problem(400, 'bad_fmspc', 'fmspc: 12 hex digits');
      if (ca !== 'processor' && ca !== 'platform')
        return problem(400, 'bad_ca', 'ca: processor or platform');
      const collateral = store.find({ tee, fmspc, ca }, now());
      if (collateral === undefined) return problem(404, 'no_collateral');
      return c.json(encodeIntelEndorsements(collateral), 200, {
        'cache-control': 'public, max-age=600',
      });
    });
}
