import { asBytes, encodeHex, equalBytes, MalformedError, type Bytes } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { Verification } from '../verification.ts';
import { parseHclReport, type HclReport } from './hcl-report.ts';
import { parseHclRuntimeClaims, type HclRuntimeClaims } from './runtime-claims.ts';

/** An HCL report whose claims are those that its hardware report names. */
export interface BoundHclReport {
  readonly report: HclReport;
  readonly runtime: HclRuntimeClaims;
  /** The report data that hardware must vouch for, lower hex. */
  readonly reportData: string;
}

/**
 * Whether the runtime claims are those that the hardware report inside carries the digest of
 * (spec/evidence.md 10). It says NOTHING about that report: `verifyHclReport` verifies both.
 */
export async function checkHclBinding(bytes: Uint8Array): Promise<Verification<BoundHclReport>> {
  const list = new CheckList();
  const report = attempt(() => parseHclReport(bytes));
  if (!list.expect('HCL report format', !!report, 'hcl.format') || !report) return list.refusal();
  const runtime = attempt(() => parseHclRuntimeClaims(report.runtimeClaims));
  const readable = list.expect('HCL runtime claims', runtime !== undefined, 'hcl.format');
  if (!readable || runtime === undefined) return list.refusal();
  const expected = await reportDataOf(report);
  const bound = equalBytes(expected, report.reportData);
  list.expect('HCL runtime claims are those of the report', bound, 'hcl.binding');
  return list.result({ report, runtime, reportData: encodeHex(expected) });
}

/** The digest of the exact claims, then zeros up to 64 bytes. */
async function reportDataOf({ hash, runtimeClaims }: HclReport): Promise<Bytes> {
  const data = new Uint8Array(64);
  data.set(new Uint8Array(await crypto.subtle.digest(hash, runtimeClaims)));
  return asBytes(data);
}

/** Undefined where the input cannot be read. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
