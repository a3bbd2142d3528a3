import type { Check } from '@cloister/attestation';
import { AzureError } from './azure-error.ts';

const INVALID = 'The specified quote was invalid';
const COLLATERAL = `${INVALID} due to an error in the quote collateral`;
const BASELINE = `${INVALID} because the device on which the quote was generated does not meet the Azure baseline requirements`;
const STALE = `${INVALID} because the TCBInfo or QEID provided by the PCK Cache Service was invalid`;

/** The real service's core sentences, by the first part of our codes (spec/evidence.md 11a). */
const SENTENCES: Readonly<Record<string, string>> = {
  crl: COLLATERAL,
  pck: COLLATERAL,
  pckca: COLLATERAL,
  tcbsigner: COLLATERAL,
  tcbinfo: STALE,
  qeid: STALE,
  tcb: BASELINE,
};

/** What the appraisal may find wrong with the platform, and not with the enclave. */
const PLATFORM: readonly string[] = [
  'policy.tcb',
  'policy.tcb_date',
  'policy.evaluation_number',
  'policy.advisory',
  'policy.platform',
];

/** What a refused verification or appraisal looks like to a caller; it names our code too. */
export function refusalOf(code: string, checks: readonly Check[] = []): AzureError {
  if (code.startsWith('policy.') && !PLATFORM.includes(code))
    return new AzureError(
      'PolicyEvaluationError',
      `The appraisal that precedes the policy refused the evidence (${code})`,
      code,
      checks,
    );
  const [area = ''] = code.split('.');
  const sentence = PLATFORM.includes(code) ? BASELINE : (SENTENCES[area] ?? INVALID);
  return new AzureError('InvalidParameter', `${sentence} (${code})`, code, checks);
}
