import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { VerificationCache } from '@cloister/attestation';
import { findDisagreements, judgeVector, parseVectors, readBeside } from '../evidence-vectors.ts';

const USAGE = 'usage: cloister vectors <EVIDENCE-MANIFEST.json> [--tee sgx|tdx|snp] [--json]\n';

/**
 * Verifies every entry of an evidence manifest. With `--json`, one line per entry on stdout:
 * {id, verdict, tcbStatus, advisoryIds, failure, claims, policyFindings}. Without, a line in words
 * per entry that disagrees with what it expects, and a summary. 0 when it could run.
 */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, tee: { type: 'string' } },
  });
  const [manifest] = positionals;
  if (manifest === undefined || positionals.length > 1) {
    process.stderr.write(USAGE);
    return 64;
  }
  const cache = new VerificationCache();
  const counts = { agree: 0, differ: 0, unsupported: 0 };
  for (const vector of parseVectors(await readFile(manifest, 'utf8'))) {
    if (values.tee !== undefined && vector.tee !== values.tee) continue;
    const outcome = await judgeVector(vector, readBeside(manifest, vector), cache);
    if (values.json) {
      process.stdout.write(`${JSON.stringify(outcome)}\n`);
      continue;
    }
    const differences = findDisagreements(vector, outcome);
    if (outcome.verdict === null) counts.unsupported += 1;
    else if (differences.length === 0) counts.agree += 1;
    else {
      counts.differ += 1;
      process.stdout.write(`${vector.id}: ${differences.join('; ')}\n`);
    }
  }
  if (!values.json) {
    const { agree, differ, unsupported } = counts;
    process.stdout.write(`${agree} agree, ${differ} differ, ${unsupported} unsupported\n`);
  }
  return 0;
}
