import {
  CHECK_GROUPS,
  groupChecks,
  type Check,
  type CheckGroup,
  type VerifiedPeer,
} from '@cloister/attestation';
import type { HeadFacts } from './take-heads.ts';

/** The three questions of the gate (spec/clinical.md 11, S0), in the order in which they appear. */
const QUESTIONS: typeof CHECK_GROUPS = CHECK_GROUPS;
/** One of them. */
export type QuestionId = CheckGroup;

/** A question and what came of it. */
export interface Question {
  readonly id: QuestionId;
  readonly outcome: 'pending' | 'passed' | 'failed' | 'skipped';
  readonly checks: readonly Check[];
}

/** What the reader needs to see about the code: what was agreed, and what was measured. */
export interface Measurement {
  readonly agreed: readonly string[];
  /** Of verified evidence; of unverified evidence only where the gate blocks. */
  readonly measured: string | undefined;
}

/** What the gate shows. Only `passed` has a peer, and only a peer opens a channel. */
export interface GateReport {
  readonly state: 'checking' | 'passed' | 'blocked' | 'unreachable';
  /** The first check that failed. */
  readonly code?: string;
  readonly questions: readonly Question[];
  readonly measurement?: Measurement;
  readonly peer?: VerifiedPeer;
  /** Whether the evidence, or the agreement, is of simulated hardware. */
  readonly simulated: boolean;
  readonly manifest?: {
    readonly id: string;
    readonly serial: number;
    readonly deployment: string;
    readonly signers: readonly string[];
    /** Seconds for which a head gives time, and an earlier check may stand. */
    readonly lease: number;
    /** Whether the hospital has a broker that signs heads and keeps counters. */
    readonly hasBroker: boolean;
    /** The host of its vault, where it keeps its keys in one instead. */
    readonly vault?: string;
    /** Whether any machine of this make will do (`platforms: "any"`). */
    readonly anyMachine: boolean;
    /** How many identities records may have: `anyOf` is as strong as its weakest branch. */
    readonly identities: number;
    readonly build?: string;
  };
  /** The newest head of the hospital's own broker. */
  readonly head?: HeadFacts;
  /** The raw evidence as JSON text, for whoever wants to verify it elsewhere. */
  readonly evidence?: string;
  readonly at: Date;
}

/** The check without which a question is not answered, however many others passed. */
const ESSENTIAL: Readonly<Record<QuestionId, string>> = {
  hardware: 'hardware: sort of evidence',
  code: 'code: service named in the manifest',
  channel: 'channel: nonce',
};

/**
 * Sorts checks under the three questions. A question passed only where its essential check passed
 * and none of its own failed or was not reached; where nobody could be asked, nothing has failed.
 */
export function questionsOf(checks: readonly Check[], state: GateReport['state']): Question[] {
  const groups = groupChecks(checks);
  return QUESTIONS.map((id) => {
    const own = groups[id];
    return { id, outcome: outcomeOf(id, own, state), checks: own };
  });
}

function outcomeOf(
  id: QuestionId,
  checks: readonly Check[],
  state: GateReport['state'],
): Question['outcome'] {
  if (state === 'checking') return 'pending';
  if (checks.some(({ outcome }) => outcome === 'failed'))
    return state === 'unreachable' ? 'skipped' : 'failed';
  const answered = checks.some(
    ({ check, outcome }) => check === ESSENTIAL[id] && outcome === 'passed',
  );
  const reached = checks.every(
    ({ outcome, detail }) => outcome !== 'skipped' || detail !== 'not reached',
  );
  return answered && reached ? 'passed' : 'skipped';
}

/** Which plain sentence explains a code (keys of the texts under `reasons`). */
export type Reason =
  | 'pins_missing'
  | 'settings_unavailable'
  | 'settings_malformed'
  | 'manifest_malformed'
  | 'manifest'
  | 'agreement'
  | 'heads'
  | 'evidence_unavailable'
  | 'evidence_malformed'
  | 'issuer_keys_unavailable'
  | 'issuer_keys_not_pinned'
  | 'measurement'
  | 'simulated'
  | 'debug'
  | 'revoked'
  | 'expired'
  | 'signature'
  | 'nonce'
  | 'binding'
  | 'token'
  | 'tcb'
  | 'other';

const EXACT: ReadonlySet<string> = new Set<Reason>([
  'pins_missing',
  'settings_unavailable',
  'settings_malformed',
  'manifest_malformed',
  'evidence_unavailable',
  'evidence_malformed',
  'issuer_keys_unavailable',
  'issuer_keys_not_pinned',
]);

const PATTERNS: readonly (readonly [RegExp, Reason])[] = [
  [
    /^(serial_too_low|predecessor_mismatch|no_trusted_keys|signature_invalid|(old_)?quorum_missing|own_party_missing)$/,
    'manifest',
  ],
  [/^manifest_mismatch$/, 'agreement'],
  [/head|manifest_superseded|sender_foreign|broker_unknown/, 'heads'],
  [/simulated|roots_mismatch|format_not_agreed/, 'simulated'],
  [/debug/, 'debug'],
  [/nonce/, 'nonce'],
  [/^token/, 'token'],
  [/revoked/, 'revoked'],
  [/expired/, 'expired'],
  [/report_data|runtime_data|service_mismatch/, 'binding'],
  [/not_agreed|svn_too_low|service_unknown/, 'measurement'],
  [/^policy|^tcb\./, 'tcb'],
  [/signature|chain|format|malformed|issuer|mismatch|invalid|qereport|endorsements/, 'signature'],
];

/** The plain reason for a code; codes that nobody translated are "a check failed". */
export function reasonOf(code: string): Reason {
  if (isExact(code)) return code;
  return PATTERNS.find(([pattern]) => pattern.test(code))?.[1] ?? 'other';
}

function isExact(code: string): code is Reason {
  return EXACT.has(code);
}
