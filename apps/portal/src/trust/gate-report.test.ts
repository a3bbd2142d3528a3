import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Check } from '@cloister/attestation';
import { questionsOf, reasonOf, type GateReport } from './gate-report.ts';

const GOOD: readonly Check[] = [
  { check: 'hardware: sort of evidence', outcome: 'passed' },
  { check: 'hardware: token policy', outcome: 'skipped', detail: 'the manifest names none' },
  { check: 'code: service named in the manifest', outcome: 'passed' },
  { check: 'channel: nonce', outcome: 'passed' },
];
const outcomes = (checks: readonly Check[], state: GateReport['state'] = 'blocked') =>
  questionsOf(checks, state).map(({ outcome }) => outcome);

describe('questionsOf', () => {
  it('answers all three where all was checked', () => {
    assert.deepEqual(outcomes(GOOD, 'passed'), ['passed', 'passed', 'passed']);
  });

  it('does not call a question answered whose checks were not all reached', () => {
    const skipped: Check = { check: 'code: MRENCLAVE', outcome: 'skipped', detail: 'not reached' };
    assert.deepEqual(outcomes([...GOOD, skipped]), ['passed', 'skipped', 'passed']);
    assert.deepEqual(outcomes([]), ['skipped', 'skipped', 'skipped']);
  });

  it('does not call the code agreed on where only the manifest was read', () => {
    const only: Check[] = [
      { check: 'code: manifest, own party', outcome: 'passed' },
      { check: 'hardware: evidence received', outcome: 'failed', code: 'evidence_unavailable' },
    ];
    assert.deepEqual(outcomes(only, 'unreachable'), ['skipped', 'skipped', 'skipped']);
    assert.deepEqual(outcomes(only, 'blocked'), ['failed', 'skipped', 'skipped']);
  });
});

describe('reasonOf', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['evidence_unavailable', 'evidence_unavailable'],
    ['own_party_missing', 'manifest'],
    ['measurement_not_agreed', 'measurement'],
    ['policy.debug', 'debug'],
    ['policy.simulated', 'simulated'],
    ['roots_mismatch', 'simulated'],
    ['nonce_mismatch', 'nonce'],
    ['token_expired', 'token'],
    ['report_data_mismatch', 'binding'],
    ['head_too_old', 'heads'],
    ['manifest_superseded', 'heads'],
    ['manifest_mismatch', 'agreement'],
    ['service_mismatch', 'binding'],
    ['pck.revoked', 'revoked'],
    ['tcbinfo.expired', 'expired'],
    ['quote.signature', 'signature'],
    ['pck.chain', 'signature'],
    ['policy.tcb', 'tcb'],
    ['what_nobody_foresaw', 'other'],
  ];
  for (const [code, reason] of cases)
    it(`explains ${code} as ${reason}`, () => assert.equal(reasonOf(code), reason));
});
