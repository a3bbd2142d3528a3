import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GateReport } from './gate-report.ts';
import { standingAfter, stopReasonOf, type Standing } from './standing.ts';

const START = Date.parse('2026-11-24T12:00:00Z');
const LEASE = 900;
const manifest = (serial: number): NonNullable<GateReport['manifest']> => ({
  id: String(serial),
  serial,
  deployment: 'lamna',
  signers: [],
  lease: LEASE,
  hasBroker: true,
  anyMachine: true,
  identities: 1,
});
const report = (
  state: GateReport['state'],
  { code, after = 0, serial = 1 }: { code?: string; after?: number; serial?: number } = {},
): GateReport => ({
  state,
  questions: [],
  simulated: true,
  at: new Date(START + after * 1000),
  ...(code === undefined ? {} : { code }),
  manifest: manifest(serial),
});
const passed: Standing = { report: report('passed'), passed: report('passed') };
/** State and stop after this report, for somebody who works here. */
const after = (next: GateReport, before: Standing = passed) => {
  const { report: shown, stopped } = standingAfter(before, next, true);
  return [shown.state, stopped];
};

describe('standingAfter', () => {
  const waits = [
    'head_too_old',
    'own_head_missing',
    'clock_behind_head',
    'head_contradicts',
    'head_unknown',
    'sender_foreign',
    'manifest_superseded',
    'manifest_mismatch',
  ];
  for (const code of waits)
    it(`stops sending at ${code}, and keeps what was typed`, () => {
      assert.deepEqual(after(report('blocked', { code })), ['blocked', code]);
      const before = standingAfter(
        { report: report('passed') },
        report('blocked', { code }),
        false,
      );
      assert.equal(before.stopped, undefined, 'nobody works here yet: the gate blocks');
    });

  it('is out where the code, the hardware or a signature is not as agreed', () => {
    for (const code of ['measurement_not_agreed', 'policy.debug', 'own_party_missing', 'what'])
      assert.deepEqual(after(report('blocked', { code })), ['blocked', undefined]);
  });

  it('goes on where it is verified again', () => {
    const stopped = standingAfter(passed, report('blocked', { code: 'head_too_old' }), true);
    assert.deepEqual(after(report('passed', { after: 60 }), stopped), ['passed', undefined]);
  });

  it('stands for one lease where nobody can be asked, and not a second longer', () => {
    const down = (s: number) => report('unreachable', { code: 'evidence_unavailable', after: s });
    assert.equal(standingAfter(passed, down(LEASE), true), passed);
    assert.deepEqual(after(down(LEASE + 1)), ['unreachable', 'evidence_unavailable']);
    assert.equal(standingAfter(passed, down(LEASE + 1), false).report.state, 'unreachable');
    const first: Standing = { report: report('checking') };
    assert.equal(standingAfter(first, down(0), false).report.state, 'unreachable');
  });

  it('does not stand on what was verified by another agreement, nor comes back by not being asked', () => {
    const other = report('unreachable', { code: 'evidence_unavailable', serial: 2 });
    assert.deepEqual(after(other), ['unreachable', 'evidence_unavailable']);
    const stopped = standingAfter(passed, report('blocked', { code: 'head_too_old' }), true);
    const down = report('unreachable', { code: 'issuer_keys_unavailable', after: 9 });
    assert.deepEqual(after(down, stopped), ['unreachable', 'issuer_keys_unavailable']);
  });

  it('says that the agreement was renewed, also after an interruption', () => {
    const next = report('passed', { serial: 2, after: 30 });
    const renewed = { from: 1, to: 2, at: next.at };
    assert.deepEqual(standingAfter(passed, next, true).renewed, renewed);
    const stopped = standingAfter(passed, report('blocked', { code: 'manifest_mismatch' }), true);
    const again = standingAfter(stopped, next, true);
    assert.deepEqual(again.renewed, renewed);
    const later = report('passed', { serial: 2, after: 330 });
    assert.deepEqual(standingAfter(again, later, true).renewed, renewed);
    assert.equal(standingAfter(passed, report('passed', { after: 300 }), true).renewed, undefined);
  });
});

describe('stopReasonOf', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['head_too_old', 'old'],
    ['own_head_missing', 'old'],
    ['clock_behind_head', 'old'],
    ['manifest_superseded', 'newer'],
    ['manifest_mismatch', 'newer'],
    ['head_unknown', 'unknown'],
    ['heads_missing', 'unknown'],
    ['head_contradicts', 'foreign'],
    ['sender_foreign', 'foreign'],
    ['evidence_unavailable', 'unreachable'],
    ['settings_unavailable', 'unreachable'],
  ];
  for (const [code, reason] of cases)
    it(`explains ${code} as ${reason}`, () => assert.equal(stopReasonOf(code), reason));
});
