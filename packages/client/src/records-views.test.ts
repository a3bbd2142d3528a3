import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBase64, encodeUtf8, type JsonObject } from '@cloister/bytes';
import {
  displayName,
  evidenceView,
  findingView,
  modelView,
  patientView,
  reportView,
  taskView,
} from './records-views.ts';

const component = (code: string, value: number): JsonObject => ({
  code: { coding: [{ system: 'urn:cloister:model-output', code }] },
  valueQuantity: { value },
});
const OBSERVATION: JsonObject = {
  resourceType: 'Observation',
  id: 'o1',
  status: 'preliminary',
  device: { reference: 'Device/d1' },
  derivedFrom: [{ reference: 'ImagingStudy/s1' }],
  valueCodeableConcept: {
    coding: [{ system: 'http://snomed.info/sct', code: '233604007', display: 'Pneumonia' }],
  },
  component: [component('score', 0.9), component('threshold', 0.5)],
};

describe('findingView', () => {
  it('reads score, threshold, finding and where they come from', () => {
    assert.deepEqual(findingView(OBSERVATION), {
      id: 'o1',
      status: 'preliminary',
      finding: { system: 'http://snomed.info/sct', code: '233604007', text: 'Pneumonia' },
      score: 0.9,
      threshold: 0.5,
      device: 'd1',
      study: 's1',
    });
  });

  it('shows no finding below the threshold, whatever the resource says', () => {
    const low = {
      ...OBSERVATION,
      component: [component('score', 0.4), component('threshold', 0.5)],
    };
    assert.equal(findingView(low).finding, undefined);
  });

  it('refuses an observation without a score or without a threshold', () => {
    for (const name of ['score', 'threshold'])
      assert.throws(() => findingView({ ...OBSERVATION, component: [component(name, 1)] }), {
        code: 'bad_value',
      });
  });
});

describe('evidenceView', () => {
  it('reads facts, receipt and probabilities apart from each other', () => {
    const view = evidenceView({
      resourceType: 'Provenance',
      recorded: '2026-11-24T12:00:00Z',
      extension: [
        {
          url: 'urn:cloister:evidence',
          extension: [
            { url: 'manifest', valueString: 'ab' },
            { url: 'simulated', valueBoolean: true },
          ],
        },
        {
          url: 'urn:cloister:model-probabilities',
          extension: [{ url: 'normal', valueDecimal: 0.1 }],
        },
        { url: 'urn:other', extension: [{ url: 'manifest', valueString: 'zz' }] },
      ],
      signature: [{ data: encodeBase64(encodeUtf8('a.b.c')) }],
    });
    assert.deepEqual(view, {
      receipt: 'a.b.c',
      recorded: '2026-11-24T12:00:00Z',
      facts: { manifest: 'ab', simulated: true },
      probabilities: { normal: 0.1 },
    });
  });
});

describe('the other views', () => {
  it('shows names by their script', () => {
    assert.equal(displayName('张', '伟'), '张伟');
    assert.equal(displayName('Okafor', 'Chidi'), 'Chidi Okafor');
    assert.equal(displayName('Okafor', ''), 'Okafor');
  });

  it('takes the record number by its type, and leaves out what is not there', () => {
    const patient = patientView({
      resourceType: 'Patient',
      id: 'p',
      identifier: [{ value: 'other' }, { type: { coding: [{ code: 'MR' }] }, value: 'LH-1' }],
      gender: 'xyz',
    });
    assert.deepEqual(patient, {
      id: 'p',
      family: '',
      given: '',
      name: '',
      gender: 'unknown',
      mrn: 'LH-1',
    });
  });

  it('follows references of the right type only', () => {
    const report = reportView({
      resourceType: 'DiagnosticReport',
      id: 'r',
      status: 'preliminary',
      result: [{ reference: 'Observation/o1/_history/2' }, { reference: 'Group/g' }],
      imagingStudy: [{ reference: 'https://elsewhere/ImagingStudy/s1' }],
    });
    assert.deepEqual(report.observations, ['o1']);
    assert.deepEqual(report.studies, []);
  });

  it('reads why a task stopped, and what it gave', () => {
    const task = taskView({
      resourceType: 'Task',
      id: 't',
      status: 'rejected',
      focus: { reference: 'ImagingStudy/s1' },
      for: { reference: 'Patient/p1' },
      statusReason: { coding: [{ code: 'peer-not-trusted' }], text: 'x' },
      output: [{ valueReference: { reference: 'DiagnosticReport/r1' } }],
    });
    assert.deepEqual(task, {
      id: 't',
      status: 'rejected',
      study: 's1',
      patient: 'p1',
      reason: { code: 'peer-not-trusted', text: 'x' },
      report: 'r1',
    });
  });

  it('names a model as the manifest does, where its Device says so', () => {
    const model = modelView({
      resourceType: 'Device',
      deviceName: [{ name: 'Chest radiograph: pneumonia' }],
      version: [{ value: '1' }],
      property: [{ type: { text: 'model' }, valueCode: [{ text: 'cxr-pneumonia-cam' }] }],
      note: [{ text: 'Demonstration.' }],
    });
    assert.equal(model.name, 'cxr-pneumonia-cam');
    assert.equal(model.title, 'Chest radiograph: pneumonia');
    assert.equal(model.note, 'Demonstration.');
  });
});
