import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { analysisReason, isRunning, phasesOf } from './analysis-phases.ts';
import { checkDraft, errorsOfIssues, patientOf, type PatientDraft } from './patient-fields.ts';

const TODAY = new Date(2026, 10, 24);
const DRAFT: PatientDraft = {
  family: ' 张 ',
  given: '伟',
  gender: 'male',
  birthDate: '2022-03-14',
  mrn: 'LH-104233',
};
const wrong = (changes: Partial<PatientDraft>) => checkDraft({ ...DRAFT, ...changes }, TODAY);

const task = (status: 'in-progress' | 'completed' | 'rejected') => ({ id: 't', status });
const states = (...args: Parameters<typeof phasesOf>) =>
  phasesOf(...args).map(({ state }) => state);

describe('checkDraft', () => {
  it('finds nothing wrong with a good draft, and trims it', () => {
    assert.deepEqual(wrong({}), {});
    assert.equal(patientOf(DRAFT).family, '张');
  });

  it('wants every field', () => {
    const empty = { family: ' ', given: '', gender: '', birthDate: '', mrn: '' };
    assert.deepEqual(Object.values(wrong(empty)), Array(5).fill('required'));
  });

  it('knows days that are none, that are to come, and that are too long ago', () => {
    assert.deepEqual(wrong({ birthDate: '2022-02-30' }), { birthDate: 'dateInvalid' });
    assert.deepEqual(wrong({ birthDate: '14.3.2022' }), { birthDate: 'dateInvalid' });
    assert.deepEqual(wrong({ birthDate: '2026-11-25' }), { birthDate: 'dateFuture' });
    assert.deepEqual(wrong({ birthDate: '2026-11-24' }), {});
    assert.deepEqual(wrong({ birthDate: '1895-01-01' }), { birthDate: 'dateTooOld' });
  });

  it('refuses record numbers with other signs, unknown codes, and long texts', () => {
    assert.deepEqual(wrong({ mrn: 'a b' }), { mrn: 'mrnInvalid' });
    assert.deepEqual(wrong({ mrn: '<x>' }), { mrn: 'mrnInvalid' });
    assert.deepEqual(wrong({ gender: 'xyz' }), { gender: 'required' });
    assert.deepEqual(wrong({ given: 'a'.repeat(101) }), { given: 'tooLong' });
  });
});

describe('errorsOfIssues', () => {
  it('puts what the platform says at its fields', () => {
    assert.deepEqual(errorsOfIssues([{ code: 'duplicate', expression: 'Patient.identifier' }]), {
      mrn: 'duplicate',
    });
    assert.deepEqual(
      errorsOfIssues([
        { code: 'value', expression: 'Patient.birthDate' },
        { code: 'required', expression: 'Patient.name[0].given' },
        { code: 'value', expression: 'Patient.name[0].family' },
        { code: 'value', expression: 'Patient.telecom' },
      ]),
      { birthDate: 'refused', given: 'required', family: 'refused' },
    );
  });
});

describe('phasesOf', () => {
  it('runs one phase at a time', () => {
    const phases = { 'verify-provider': { ok: true, ms: 3 } };
    assert.deepEqual(states(task('in-progress'), { phases }), [
      'done',
      'done',
      'running',
      'waiting',
      'waiting',
    ]);
    assert.ok(isRunning(task('in-progress')));
  });

  it('shows the phase that stopped it, also where its event was missed', () => {
    const stopped = ['done', 'failed', 'waiting', 'waiting', 'waiting'];
    const phases = { 'verify-provider': { ok: false } };
    assert.deepEqual(states(task('rejected'), { phases }), stopped);
    assert.deepEqual(states(task('rejected'), undefined), stopped);
  });

  it('is done when the task is, whatever events were missed', () => {
    assert.deepEqual(states(task('completed'), undefined), Array(5).fill('done'));
  });

  it('has words for the reasons that it knows', () => {
    const reason = (code: string) => analysisReason({ ...task('rejected'), reason: { code } });
    assert.equal(reason('peer-not-trusted'), 'peer-not-trusted');
    assert.equal(reason('constructor'), 'other');
    assert.equal(analysisReason(task('rejected')), 'other');
  });
});
