import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { findingScore, parseModelContract } from './model-contract.ts';

const TEXT = readFileSync(
  new URL('../../../../models/cxr-pneumonia-cam/contract.json', import.meta.url),
  'utf8',
);

describe('parseModelContract', () => {
  it('reads the contract of the model that comes with Cloister', () => {
    const contract = parseModelContract(TEXT);
    assert.equal(contract.model, 'cxr-pneumonia-cam');
    assert.deepEqual(contract.input.preprocessing, {
      fallbackWindow: { center: 127.5, width: 255 },
      greyWeights: [0.299, 0.587, 0.114],
      size: [224, 224],
      range: { from: 0, to: 255 },
    });
    assert.deepEqual(contract.finding.heatMap?.classes, ['bacterial', 'viral']);
    assert.deepEqual(contract.discloses, ['Modality']);
  });

  const changes: readonly (readonly [string, string, string])[] = [
    ['an unknown member', '"model":', '"extra": 1, "model":'],
    ['an unknown member of a step', '{ "step": "decode" }', '{ "step": "decode", "x": 1 }'],
    ['another step', '"step": "polarity"', '"step": "invert"'],
    ['a step left out', '{ "step": "decode" },', ''],
    [
      'another order of steps',
      '{ "step": "decode" },\n      { "step": "modality-lut" }',
      '{ "step": "modality-lut" },\n      { "step": "decode" }',
    ],
    ['another filter', 'bicubic-antialiased', 'nearest'],
    ['kept aspect', '"keepAspect": false', '"keepAspect": true'],
    ['a size against the shape', '"size": [224, 224]', '"size": [225, 224]'],
    ['another datatype', '"FP32"', '"FP16"'],
    [
      'labels against the shape',
      '"shape": [1, 3], "labels": ["normal", "bacterial", "viral"]',
      '"shape": [1, 3], "labels": ["normal", "viral"]',
    ],
    ['a score of another kind', '1 - probabilities.normal', 'max(probabilities)'],
    ['a score of an unknown label', '1 - probabilities.normal', 'probabilities.other'],
    ['a threshold of one', '"threshold": 0.5', '"threshold": 1'],
    ['a heat map of another output', '"from": "cam"', '"from": "other"'],
    ['more than one frame', '"frames": 1', '"frames": 2'],
    ['disclosure of a name', '["Modality"]', '["PatientName"]'],
    ['a name with a slash', '"model": "cxr', '"model": "../cxr'],
    ['a member twice', '"version": "1",', '"version": "1", "version": "2",'],
  ];
  for (const [name, from, to] of changes) {
    it(`refuses ${name}`, () => {
      assert.ok(TEXT.includes(from), from);
      assert.throws(() => parseModelContract(TEXT.replace(from, to)), { name: 'MalformedError' });
    });
  }

  it('refuses every member left out', () => {
    const whole = JSON.parse(TEXT) as Record<string, unknown>;
    for (const name of Object.keys(whole)) {
      const { [name]: _, ...rest } = whole;
      assert.throws(() => parseModelContract(JSON.stringify(rest)), { name: 'MalformedError' });
    }
  });
});

describe('findingScore', () => {
  it('is what the contract says', () => {
    const contract = parseModelContract(TEXT);
    assert.ok(Math.abs(findingScore(contract, [0.25, 0.5, 0.25]) - 0.75) < 1e-9);
    assert.throws(() => findingScore(contract, [1]), { code: 'bad_value' });
  });
});
