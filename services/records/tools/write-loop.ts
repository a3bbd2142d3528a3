/**
 * A process that writes without end and prints the id of each write once it is acknowledged: what
 * the test of `kill -9` starts and kills. Not part of the service.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openSqliteStore } from '@cloister/service';
import { openLedger } from '../src/store/ledger.ts';
import { testTenantKey } from './test-tenant-key.ts';

const ledger = await openLedger({
  store: openSqliteStore(process.argv[2] ?? ''),
  tenant: 'lamna',
  tenantKeys: [await testTenantKey()],
  random: (length) => new Uint8Array(randomBytes(length)),
  now: () => new Date(),
});

async function write(): Promise<never> {
  for (;;) {
    const id = randomUUID();
    const content = { resourceType: 'Patient', name: [{ family: id }] };
    await ledger.commit([{ type: 'Patient', id, patient: id, content }]);
    writeSync(1, `${id}\n`);
  }
}
await Promise.all([write(), write(), write(), write()]);
