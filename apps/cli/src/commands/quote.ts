import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { readEvidence } from '../inspect/evidence-file.ts';
import { inspectEvidence } from '../inspect/inspect-evidence.ts';
import { printInspection } from '../inspect/print-inspection.ts';

const HELP = `cloister quote inspect <file> [--json]   what stands in this evidence?

  <file>   an SGX or TDX quote, an SEV-SNP report, an Azure HCL report, an Open Enclave report, an
           evidence envelope; raw, as hex or base64, or in JSON

Each field with its offset, size, value and meaning. Nothing is verified: see cloister verify.
Exit codes: 0 read to the end, 2 malformed, 1 the file could not be read.
`;

/** `cloister quote inspect <file>`: evidence in readable form. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [action, file] = positionals;
  if (values.help || action !== 'inspect' || file === undefined || positionals.length > 2) {
    process.stderr.write(HELP);
    return values.help ? 0 : 64;
  }
  const inspection = inspectEvidence(readEvidence(await readFile(file)));
  process.stdout.write(
    values.json ? `${JSON.stringify(inspection, null, 2)}\n` : printInspection(inspection),
  );
  return inspection.problems.length === 0 ? 0 : 2;
}
