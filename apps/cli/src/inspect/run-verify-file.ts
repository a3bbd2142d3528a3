import { readFile } from 'node:fs/promises';
import type { AppraisalPolicy, TcbStatus } from '@cloister/attestation';
import { asBytes, decodeBase64url } from '@cloister/bytes';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { describeChecks } from '../print-checks.ts';
import { openSources } from './collateral-sources.ts';
import { readEvidence } from './evidence-file.ts';
import { readCollateral } from './read-collateral.ts';
import { verifyFile, type FileTrust, type FileVerdict } from './verify-file.ts';

/** What the command was told of a file. */
export interface VerifyFileOptions {
  readonly collateral?: readonly string[] | undefined;
  readonly source?: readonly string[] | undefined;
  readonly at?: string | undefined;
  readonly runtimeData?: string | undefined;
  readonly nonce?: string | undefined;
  readonly simulatedRoot?: readonly string[] | undefined;
  readonly acceptTcb?: readonly string[] | undefined;
  readonly minEvaluationNumber?: string | undefined;
  readonly dangerAllowDebug: boolean;
  readonly dangerExpiredCollateralSeconds?: string | undefined;
  readonly json: boolean;
}

const STATUSES: readonly TcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
];

/** What `appraise` accepts unless told. */
const USUAL: readonly TcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];

/** Verifies and appraises the evidence in a file, and says so: 0 good, 2 refused. */
export async function runVerifyFile(path: string, options: VerifyFileOptions): Promise<number> {
  const transport = createHttpClient({ allowTls12: true });
  try {
    const file = readEvidence(await readFile(path));
    const names = options.source ?? [];
    const sources = names.length === 0 ? undefined : openSources({ names, fetch: transport });
    const trust = await trustOf(options);
    const verdict = await verifyFile(file, { ...trust, ...(sources ? { sources } : {}) });
    const good = verdict.verification.ok && verdict.appraisal?.ok === true;
    process.stdout.write(
      options.json ? `${JSON.stringify(summaryOf(verdict, good))}\n` : printVerdict(path, verdict),
    );
    return good ? 0 : 2;
  } finally {
    transport.close();
  }
}

async function trustOf(options: VerifyFileOptions): Promise<FileTrust> {
  const { at, runtimeData, nonce, simulatedRoot = [] } = options;
  const time = at === undefined ? new Date() : new Date(at);
  if (Number.isNaN(time.getTime())) throw new CommandError('--at: no date');
  const roots = simulatedRoot.map((root) => root.toLowerCase());
  if (!roots.every((root) => /^[0-9a-f]{64}$/.test(root))) {
    throw new CommandError('--simulated-root: SHA-256 of its key, 64 hex digits');
  }
  const grace = options.dangerExpiredCollateralSeconds;
  const seconds = grace === undefined ? undefined : numberOf(grace, '--danger-allow-expired');
  return {
    at: time,
    collateral: await readCollateral(options.collateral ?? []),
    simulatedRoots: roots,
    policy: policyOf(options, roots.length > 0),
    ...(runtimeData === undefined ? {} : { runtimeData: asBytes(await readFile(runtimeData)) }),
    ...(nonce === undefined ? {} : { nonce: decodeBase64url(nonce, '--nonce') }),
    ...(seconds === undefined ? {} : { graceSeconds: seconds }),
  };
}

function policyOf(options: VerifyFileOptions, simulated: boolean): AppraisalPolicy {
  const { acceptTcb, minEvaluationNumber, dangerAllowDebug } = options;
  const accepted = acceptTcb?.map(
    (name) =>
      STATUSES.find((status) => status === name) ??
      fail(`--accept-tcb: one of ${STATUSES.join(', ')}`),
  );
  const lowest =
    minEvaluationNumber === undefined
      ? {}
      : { minEvaluationDataNumber: numberOf(minEvaluationNumber, '--min-evaluation-number') };
  return {
    roots: simulated ? 'simulated' : 'hardware',
    allowDebug: dangerAllowDebug,
    allowExpiredCollateral: options.dangerExpiredCollateralSeconds !== undefined,
    tcb: { ...(accepted === undefined ? {} : { accepted: [...USUAL, ...accepted] }), ...lowest },
  };
}

function summaryOf({ verification, appraisal, origins }: FileVerdict, ok: boolean): object {
  const code = verification.ok ? appraisal?.code : verification.code;
  return {
    ok,
    genuine: verification.ok,
    ...(code === undefined ? {} : { code }),
    ...(verification.ok ? { claims: verification.claims } : {}),
    checks: verification.checks,
    ...(appraisal === undefined ? {} : { appraisal }),
    collateral: origins,
  };
}

function printVerdict(path: string, { verification, appraisal, origins }: FileVerdict): string {
  const lines = [`${path}\n`, ...origins.map((origin) => `  ${origin}\n`)];
  lines.push('\nIs it genuine?\n', describeChecks(verification.checks));
  if (!verification.ok) return [...lines, `\nrefused: ${verification.code}\n`].join('');
  const { claims } = verification;
  lines.push('\nIs it acceptable?\n', describeChecks(appraisal?.checks ?? []), '\nClaims\n');
  for (const [name, value] of Object.entries(claims)) lines.push(`  ${name}: ${shown(value)}\n`);
  if (claims.simulated) lines.push('\nSIMULATED hardware: this proves nothing against its host.\n');
  if (appraisal?.reportDataChecked !== true) {
    lines.push('\nNot checked: whose evidence this is (see --runtime-data).\n');
  }
  const refused = appraisal?.code;
  lines.push(refused === undefined ? '\nverified\n' : `\ngenuine, but refused: ${refused}\n`);
  return lines.join('');
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function numberOf(text: string, name: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : fail(`${name}: a number`);
}

function fail(message: string): never {
  throw new CommandError(message);
}
