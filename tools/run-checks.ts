/** Types, lint, format, dead code and layers: everything that judges the code without running it. */
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

const CHECKS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['types of the packages', 'tsc', '-b'],
  ['types of the tests', 'tsc', '-p', 'tsconfig.test.json'],
  ['lint', 'oxlint', '--type-aware'],
  ['format', 'biome', 'format', '.'],
  ['dead code', 'knip', '--no-progress'],
  ['layers', 'node', '--test', '--test-reporter=dot', 'tests/architecture.test.ts'],
];

let failed = 0;
for (const [name, command, ...args] of CHECKS) {
  const started = performance.now();
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: 'inherit' });
  if (status !== 0) failed += 1;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
}
const counts = { passed: CHECKS.length - failed, failed, skipped: 0 };
const { CLOISTER_COUNTS: countsLog } = process.env;
if (countsLog !== undefined) appendFileSync(countsLog, `${JSON.stringify(counts)}\n`);
process.exitCode = failed === 0 ? 0 : 1;
