/**
 * Measures how long it takes to wrap the keys of many patients anew: prints milliseconds. Not part
 * of the service. `node services/records/tools/measure-rewrap.ts [patients] [PostgreSQL URL]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPostgresStore, openSqliteStore } from '@cloister/service';
import { openReplica } from './test-replicas.ts';
import { testTenantKey } from './test-tenant-key.ts';

const patients = Number(process.argv[2] ?? 10_000);
const url = process.argv[3];
const folder = mkdtempSync(join(tmpdir(), 'cloister-rewrap-'));
const print = (what: string, value: number): void => {
  process.stdout.write(`${what}: ${Math.round(value * 100) / 100}\n`);
};

const store =
  url === undefined
    ? openSqliteStore(join(folder, 'records.db'))
    : await openPostgresStore({ url, schema: `rewrap_${process.pid}`, connections: 5 });
const [one, two] = [await testTenantKey(1), await testTenantKey(2)];
const ledger = await openReplica(store, { tenantKeys: [one], shared: url !== undefined });
const content = { resourceType: 'Patient' };
for (let at = 0; at < patients; at += 500) {
  const ids = Array.from({ length: Math.min(500, patients - at) }, (_, i) => `p${at + i}`);
  await Promise.all(
    ids.map((id) => ledger.commit([{ type: 'Patient', id, patient: id, content }])),
  );
}
ledger.useTenantKeys([two, one]);

/** The longest that anything else had to wait meanwhile. */
let longest = 0;
let last = performance.now();
const timer = setInterval(() => {
  longest = Math.max(longest, performance.now() - last);
  last = performance.now();
}, 1);
for (const what of ['wrapped anew', 'checked again']) {
  longest = 0;
  last = performance.now();
  const started = performance.now();
  const { rewrapped, remaining } = await ledger.rewrap();
  print(`${what}, ms`, performance.now() - started);
  print('  keys written', rewrapped);
  print('  keys remaining', remaining);
  print('  longest wait of the event loop, ms', longest);
}
clearInterval(timer);
await ledger.close();
rmSync(folder, { recursive: true });
