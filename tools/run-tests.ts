/**
 * Runs the tests: the libraries' and apps' in one process, those that start servers in processes
 * of their own. `run-tests.ts e2e` runs the browser tests instead. Prints the counts last.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Counts } from './count-reporter.ts';

interface Group {
  readonly name: string;
  readonly patterns: readonly string[];
  readonly options: readonly string[];
}

const UNIT: Group = {
  name: 'libraries and apps',
  patterns: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts'],
  options: ['--test-isolation=none'],
};
const SERVICES: Group = {
  name: 'services and whole house',
  patterns: ['services/*/src/**/*.test.ts', 'tests/**/*.test.ts'],
  options: ['--test-concurrency=2'],
};
const E2E: Group = {
  name: 'browser',
  patterns: ['tests/e2e/**/*.test.ts'],
  options: ['--test-concurrency=1'],
};

const groups = process.argv[2] === 'e2e' ? [E2E] : [UNIT, SERVICES];
const folder = mkdtempSync(join(tmpdir(), 'cloister-tests-'));
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const group of groups) {
  const files = globSync([...group.patterns]).filter(
    (file) => group === E2E || !file.startsWith('tests/e2e'),
  );
  if (files.length === 0) continue;
  process.stdout.write(`\n${group.name}: ${files.length} files\n`);
  const countsFile = join(folder, `${groups.indexOf(group)}.json`);
  const { status } = spawnSync(
    process.execPath,
    [
      '--conditions=@cloister/source',
      '--disable-warning=ExperimentalWarning',
      '--test',
      ...group.options,
      '--test-reporter=dot',
      '--test-reporter-destination=stdout',
      '--test-reporter=./tools/count-reporter.ts',
      `--test-reporter-destination=${countsFile}`,
      ...files.toSorted(),
    ],
    { stdio: 'inherit' },
  );
  const counts = readCounts(countsFile);
  total.passed += counts.passed;
  total.skipped += counts.skipped;
  total.failed += status === 0 ? counts.failed : Math.max(1, counts.failed);
}
rmSync(folder, { recursive: true });
const line = `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
process.stdout.write(`\n${line}\n`);
const { CLOISTER_COUNTS: countsLog } = process.env;
if (countsLog !== undefined) appendFileSync(countsLog, `${JSON.stringify(total)}\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

function readCounts(file: string): Counts {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}
