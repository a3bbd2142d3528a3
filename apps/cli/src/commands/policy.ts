import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import * as library from '@jmespath-community/jmespath';
import {
  boundJmesPath,
  compilePolicy,
  policyHash,
  PolicyParsingError,
  type CompiledPolicy,
} from '@cloister/attestation';
import { CommandError } from '../command-error.ts';
import { describeSyntax, describeOutcome } from '../policy/print-explanation.ts';
import { explainPolicy, type Explanation } from '../policy/explain-policy.ts';
import { describeChecks } from '../print-checks.ts';

const HELP = `cloister policy check <file> [--json]     can that policy be read? which hash will tokens carry?

cloister policy explain <file> [options]   which rule fires, and what is issued

  --evidence <file>       quote, Open Enclave report, SEV-SNP report or evidence envelope
  --collateral <path>     as of \`cloister verify\`; may be repeated. An envelope brings its own
  --at <date>             the time to judge by (default: now); also in seconds since 1970
  --runtime-data <file>   JSON that the evidence is bound to: seen as x-ms-runtime
  --simulated-root <sha256>   a simulated root in the place of Intel's; may be repeated
  --claims <file>         a JSON object of claims by type, in the place of evidence or besides it
  --json                  the whole result as JSON

Policies of Azure Attestation, version 1.0 to 1.2.
Exit codes: 0 read, or permitted; 2 refused; 1 it could not be asked; 64 wrong use.
`;

/** `cloister policy check|explain <file>`. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      evidence: { type: 'string' },
      collateral: { type: 'string', multiple: true, default: [] },
      at: { type: 'string' },
      'runtime-data': { type: 'string' },
      'simulated-root': { type: 'string', multiple: true, default: [] },
      claims: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [verb, file] = positionals;
  if (values.help || (verb !== 'check' && verb !== 'explain') || file === undefined) {
    process.stderr.write(HELP);
    return values.help ? 0 : 64;
  }
  const text = await readFile(file, 'utf8');
  const policy = read(text, values.json);
  if (policy === undefined) return 2;
  const hash = await policyHash(text);
  if (verb === 'check') {
    const { version, ruleCount } = policy;
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ ok: true, version, ruleCount, hash })}\n`
        : `version ${version}, ${ruleCount} rules; x-ms-policy-hash ${hash}\n`,
    );
    return 0;
  }
  if (values.evidence === undefined && values.claims === undefined)
    throw new CommandError('explain: name --evidence or --claims');
  const explanation = await explainPolicy(policy, {
    evidence: values.evidence,
    collateral: values.collateral,
    simulatedRoots: values['simulated-root'],
    at: dateOf(values.at),
    runtimeData: values['runtime-data'],
    claims: values.claims,
  });
  process.stdout.write(
    values.json ? `${JSON.stringify({ hash, ...explanation })}\n` : describe(hash, explanation),
  );
  return explanation.outcome?.ok === true ? 0 : 2;
}

function read(text: string, json: boolean): CompiledPolicy | undefined {
  try {
    return compilePolicy(text, { jmesPath: boundJmesPath(library) });
  } catch (error) {
    if (!(error instanceof PolicyParsingError)) throw error;
    const { line, column, symbol, failure, rule, message } = error;
    process.stdout.write(
      json
        ? `${JSON.stringify({ ok: false, line, column, symbol, failure, rule, message })}\n`
        : describeSyntax(text, error),
    );
    return undefined;
  }
}

function describe(hash: string, { verdict, outcome }: Explanation): string {
  const parts = [`x-ms-policy-hash ${hash}\n\n`];
  if (verdict !== undefined) {
    const { verification, appraisal } = verdict;
    parts.push('Is the evidence genuine?\n', describeChecks(verification.checks), '\n');
    if (!verification.ok) parts.push(`refused: ${verification.code}\n`);
    if (appraisal !== undefined && !appraisal.ok)
      parts.push(`A service refuses it before it asks the policy: ${appraisal.code ?? ''}\n\n`);
  }
  if (outcome !== undefined) parts.push(describeOutcome(outcome));
  return parts.join('');
}

function dateOf(text: string | undefined): Date {
  if (text === undefined) return new Date();
  const at = /^\d{1,12}$/.test(text) ? new Date(Number(text) * 1000) : new Date(text);
  if (Number.isNaN(at.getTime())) throw new CommandError('--at: no date');
  return at;
}
