import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { questionsOf, reasonOf } from './gate-report.ts';

describe('questionsOf', () => {
  it('does not call a question answered whose checks were not all reached', () => {
    const questions = questionsOf(
      [
        { check: 'hardware: quote', outcome: 'failed', code: 'quote.signature' },
        { check: 'channel: report data', outcome: 'passed' },
        { check: 'channel: nonce', outcome: 'skipped', detail: 'not reached' },
        { check: 'code: MRENCLAVE', outcome: 'passed' },
        { check: 'code: policy', outcome: 'skipped', detail: 'the manifest names none' },
      ],
      true,
    );
    assert.deepEqual(
      questions.map(({ outcome }) => outcome),
      ['failed', 'passed', 'skipped'],
    );
  });

  it('does not call a question without any check answered', () => {
    const outcomes = questionsOf([], true).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['skipped', 'skipped', 'skipped']);
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
