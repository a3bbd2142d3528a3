import { encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import {
  encodeEnvelope,
  parseManifestFile,
  verifyManifest,
  type Check,
  type EvidenceEnvelope,
  type HeadJudge,
  type TrustedManifest,
} from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import {
  createHeadFeed,
  createHeadJudge,
  UNREACHABLE_CODES,
  verifyService,
} from '@cloister/client';
import { questionsOf, type GateReport, type Measurement } from './gate-report.ts';
import { OWN_PARTY, type Pins } from './pins.ts';
import { parseSettings, type Settings } from './settings.ts';

/** What the gate works with: everything that is not computed comes in from outside. */
export interface GateMeans {
  /** The pins of the build; undefined in a build without them. */
  readonly pins: Pins | undefined;
  /** The text of `cloister.json`. */
  readonly loadSettings: () => Promise<string>;
  readonly transport: Fetch;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
}

/** A report, and what a connection needs where it passed. */
export interface GateResult {
  readonly report: GateReport;
  readonly settings?: Settings;
  readonly manifest?: TrustedManifest;
}

/** What the gate shows while it works. */
export function checkingReport(now: Date): GateReport {
  return { state: 'checking', questions: questionsOf([], 'checking'), simulated: false, at: now };
}

/**
 * The trust gate (spec/clinical.md 11, S0): the manifest must be signed by the keys in this build,
 * and records must show fresh evidence that the manifest admits. Never throws for what the world
 * did; every way out but one is a block.
 */
export async function runGate(means: GateMeans): Promise<GateResult> {
  const at = means.now();
  const checks: Check[] = [];
  const stop = (check: string, code: string, unreachable = false): GateResult => {
    checks.push({ check, outcome: 'failed', code });
    const state = unreachable ? 'unreachable' : 'blocked';
    const questions = questionsOf(checks, state);
    return { report: { state, code, questions, simulated: false, at } };
  };
  if (means.pins === undefined) return stop('code: keys of this build', 'pins_missing');

  let text: string;
  try {
    text = await means.loadSettings();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return stop('code: settings', 'settings_unavailable', true);
  }
  let settings: Settings;
  let file: ReturnType<typeof parseManifestFile>;
  try {
    settings = parseSettings(text);
    file = parseManifestFile(settings.manifestFile);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return stop(`code: ${error.where}`, 'manifest_malformed');
  }

  const { pins } = means;
  const verdict = await verifyManifest(file.manifest, file.signatures, {
    pinned: pins.parties,
    ownParty: OWN_PARTY,
    lowestSerial: pins.lowestSerial,
  });
  checks.push(
    ...verdict.checks.map((check) => ({ ...check, check: `code: manifest, ${check.check}` })),
  );
  if (!verdict.ok) {
    const questions = questionsOf(checks, 'blocked');
    return { report: { state: 'blocked', code: verdict.code, questions, simulated: false, at } };
  }
  return askRecords(means, verdict.claims, settings, checks, at);
}

async function askRecords(
  means: GateMeans,
  manifest: TrustedManifest,
  settings: Settings,
  before: readonly Check[],
  at: Date,
): Promise<GateResult> {
  const heads = await takeHeads(means, manifest, settings);
  if (heads.failed !== undefined) {
    const { failed } = heads;
    const state = failed === 'own_head_missing' ? 'unreachable' : 'blocked';
    const questions = questionsOf([...before, ...heads.checks], state);
    return { report: { state, code: failed, questions, simulated: false, at } };
  }
  let seen: EvidenceEnvelope | undefined;
  const verdict = await verifyService({
    baseUrl: settings.records,
    service: 'records',
    manifest,
    attestationUrl: settings.attestation,
    requireToken: true,
    transport: means.transport,
    now: heads.now,
    random: means.random,
    judgeHeads: heads.judgeHeads,
    onEvidence: (envelope) => {
      seen = envelope;
    },
  });
  const checks = [...before, ...heads.checks, ...verdict.checks];
  const { id, signers } = manifest;
  const { serial, deployment, portal, evidence } = manifest.manifest;
  const state = verdict.ok ? 'passed' : refusedState(verdict.code);
  const facts = {
    measurement: measurementOf(manifest, verdict.ok ? verdict.claims.claims : seen),
    manifest: {
      id,
      serial,
      deployment,
      signers,
      ...(portal === undefined ? {} : { build: portal.build }),
    },
    ...(seen === undefined ? {} : { evidence: JSON.stringify(encodeEnvelope(seen), null, 2) }),
    questions: questionsOf(checks, state),
    simulated: evidence.roots !== 'hardware' || seen?.format === 'simulated-sgx-quote',
    at,
  };
  if (verdict.ok) {
    const report: GateReport = { ...facts, state, peer: verdict.claims };
    return { report, settings, manifest };
  }
  return { report: { ...facts, state, code: verdict.code } };
}

/** What the hospital's broker says, and what is judged by it. */
interface Heads {
  readonly checks: readonly Check[];
  /** The code by which the heads fail. */
  readonly failed?: string;
  readonly judgeHeads?: HeadJudge;
  /** The time: never behind the newest head. */
  readonly now: () => Date;
}

/**
 * Asks the hospital's own broker for its heads (design 2.1, rule 8): signed by the key that the
 * verified manifest names, they say that this manifest is in force, and what time it is. A manifest
 * without a broker has no heads, and the report says so.
 */
async function takeHeads(
  { transport, now }: GateMeans,
  manifest: TrustedManifest,
  { broker }: Settings,
): Promise<Heads> {
  if (manifest.manifest.parties[OWN_PARTY]?.broker === undefined) return { checks: [], now };
  const brokers = broker === undefined ? {} : { [OWN_PARTY]: broker };
  const feed = createHeadFeed({ manifest, ownParty: OWN_PARTY, now, transport, brokers });
  const verdict = await feed.refresh();
  const checks = verdict.checks.map((check) => ({
    ...check,
    check: `code: hospital's key broker, ${check.check}`,
  }));
  return {
    checks,
    ...(verdict.ok ? {} : { failed: verdict.code }),
    judgeHeads: createHeadJudge(feed),
    now: () => feed.keeper.now(),
  };
}

function refusedState(code: string): 'blocked' | 'unreachable' {
  return UNREACHABLE_CODES.includes(code) ? 'unreachable' : 'blocked';
}

/** Place of MRENCLAVE in an SGX quote v3 (spec/evidence.md 1.3). */
const MRENCLAVE = { start: 112, end: 144 };

/**
 * What was agreed and what was measured. Where verification failed, the measurement is read from
 * the unverified quote, to show the difference: it is evidence of nothing.
 */
function measurementOf(
  manifest: TrustedManifest,
  source: { readonly tee: string; readonly mrenclave?: string } | EvidenceEnvelope | undefined,
): Measurement {
  const identities = manifest.manifest.services['records']?.identity.anyOf ?? [];
  const agreed = identities.flatMap((one) => {
    if (one.tee === 'sgx') return one.mrenclave;
    if (one.tee === 'snp') return one.measurement;
    return one.tee === 'tdx' ? one.mrtd : [];
  });
  if (source === undefined) return { agreed, measured: undefined };
  if ('evidence' in source) {
    const sgx = source.format === 'sgx-quote' || source.format === 'simulated-sgx-quote';
    const long = source.evidence.length >= MRENCLAVE.end;
    const bytes = source.evidence.subarray(MRENCLAVE.start, MRENCLAVE.end);
    return { agreed, measured: sgx && long ? encodeHex(bytes) : undefined };
  }
  return { agreed, measured: identityOf(source) };
}

function identityOf(claims: { readonly tee: string }): string | undefined {
  const name = { sgx: 'mrenclave', tdx: 'mrtd', snp: 'measurement' }[claims.tee];
  const value =
    name === undefined ? undefined : Object.entries(claims).find(([key]) => key === name);
  return typeof value?.[1] === 'string' ? value[1] : undefined;
}
