import {
  verifyHead,
  type Check,
  type TrustedManifest,
  type VerifiedHead,
} from '@cloister/attestation';
import {
  decodeBase64url,
  decodeHex,
  decodeUtf8,
  encodeHex,
  equalBytes,
  isJsonObject,
  MalformedError,
  parseJson,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { merkleRoot } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import type { BrokerMeans } from './open-broker.ts';
import { RefusedError } from './refused-error.ts';
import { problemCode } from './safe-word.ts';

/** A broker's log as it was fetched, or kept in a file: what it signed, and every entry. */
export interface LogCopy {
  /** The signed head: a compact JWS. */
  readonly head: string;
  /** Base64url. */
  readonly entries: readonly string[];
}

/** A log that was verified. */
export interface VerifiedLog {
  readonly head: VerifiedHead;
  readonly events: readonly JsonObject[];
  readonly checks: readonly Check[];
  /** What was seen before and is still there, where there was something. */
  readonly kept: VerifiedHead | undefined;
}

const PAGE = 256;
const MAX_ENTRIES = 5_000_000;

/** Fetches a log whole: first what is signed, then the entries that it signs. Nothing is verified. */
export async function fetchLog(url: string, { transport }: BrokerMeans): Promise<LogCopy> {
  const base = url.replace(/\/+$/, '');
  const get = async (path: string): Promise<JsonObject> => {
    const answer = await transport(new Request(`${base}${path}`));
    const json = parseJsonObject(await answer.text(), 'answer of the broker');
    if (answer.ok) return json;
    const code = problemCode(json);
    throw new RefusedError(code, `the broker does not show its log: ${code.replaceAll('_', ' ')}`);
  };
  const { head } = await get('/v1/log/sth');
  if (typeof head !== 'string') throw new CommandError('that is no key broker');
  const size = sizeOf(head);
  const entries: string[] = [];
  while (entries.length < size) {
    const count = Math.min(PAGE, size - entries.length);
    const page = await get(`/v1/log/entries?start=${entries.length}&count=${count}`);
    const list = textsOf(page['entries']);
    if (list.length === 0) break;
    entries.push(...list.slice(0, count));
  }
  return { head, entries };
}

/**
 * Verifies a log by itself: the broker of this party signed its head, the entries give the root that
 * was signed, and what was seen before is the beginning of it. With nothing else at hand: also later, and
 * elsewhere. RefusedError says what does not hold: with two heads that the broker signed and that exclude
 * each other, it is convicted.
 */
export async function verifyLog(
  copy: LogCopy,
  trust: { readonly manifest: TrustedManifest; readonly party: string },
  kept?: string,
): Promise<VerifiedLog> {
  const checks: Check[] = [];
  const expect = (check: string, passed: boolean, code: string, message: string): void => {
    checks.push(passed ? { check, outcome: 'passed' } : { check, outcome: 'failed', code });
    if (!passed) throw new RefusedError(code, message, { checks });
  };
  const head = await headOf(copy.head, trust, 'head', checks);
  const leaves = copy.entries.map((text) => decodeBase64url(text, 'log entry'));
  expect(
    'as many entries as were signed',
    leaves.length === head.logSize,
    'log_incomplete',
    `the log has ${leaves.length} entries, and ${head.logSize} were signed`,
  );
  expect(
    'entries give the root that was signed',
    await hasRoot(leaves, head),
    'log_forged',
    'the entries are not those that were signed',
  );
  const before = kept === undefined ? undefined : await headOf(kept, trust, 'kept head', checks);
  if (before === undefined)
    checks.push({ check: 'begins with what was seen before', outcome: 'skipped' });
  else {
    expect(
      'not shorter than what was seen before',
      before.logSize <= head.logSize,
      'log_shortened',
      `the log had ${before.logSize} entries, and has ${head.logSize}: the broker signed both heads`,
    );
    expect(
      'begins with what was seen before',
      await hasRoot(leaves.slice(0, before.logSize), before),
      'log_forked',
      `what the broker signed over ${before.logSize} entries is not the beginning of this log: it signed both`,
    );
  }
  return { head, events: leaves.map(eventOf), checks, kept: before };
}

/** Reads a kept copy; CommandError where the file holds none. */
export function parseLogCopy(text: string, file: string): LogCopy {
  try {
    const { head, entries } = parseJsonObject(text, file, { maxLength: 1 << 30 });
    if (typeof head === 'string') return { head, entries: textsOf(entries) };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw new CommandError(`${file} holds no copy of a broker\u2019s log`);
}

async function headOf(
  jws: string,
  trust: { readonly manifest: TrustedManifest; readonly party: string },
  name: string,
  checks: Check[],
): Promise<VerifiedHead> {
  const verdict = await verifyHead(jws, trust);
  checks.push(...verdict.checks.map((check) => ({ ...check, check: `${name}: ${check.check}` })));
  if (verdict.ok) return verdict.claims;
  throw new RefusedError(
    verdict.code,
    `the ${name} is not signed by the broker of ${trust.party}`,
    {
      checks,
    },
  );
}

async function hasRoot(leaves: readonly Bytes[], head: VerifiedHead): Promise<boolean> {
  return equalBytes(await merkleRoot(leaves), decodeHex(head.logRoot, 'log root'));
}

function eventOf(leaf: Bytes): JsonObject {
  try {
    const json = parseJson(decodeUtf8(leaf, 'log entry'), 'log entry');
    if (isJsonObject(json)) return json;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  // The broker signed it: it belongs to the log, whatever it is.
  return { event: 'unreadable', bytes: encodeHex(leaf.subarray(0, 32)) };
}

/** How long the log is said to be, to know how much to ask for. */
function sizeOf(head: string): number {
  const payload = decodeBase64url(head.split('.')[1] ?? '', 'head');
  const { logSize } = parseJsonObject(decodeUtf8(payload, 'head'), 'head');
  if (typeof logSize !== 'number' || logSize < 0 || logSize > MAX_ENTRIES)
    throw new CommandError('the log is too long to be verified here');
  return logSize;
}

function textsOf(value: JsonObject[string] | undefined): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
