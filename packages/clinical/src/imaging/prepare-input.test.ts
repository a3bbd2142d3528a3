import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseModelContract } from '../contract/model-contract.ts';
import { TAG } from '../dicom/tag.ts';
import { decodePixels } from './decode-pixels.ts';
import { makeImage } from './made-image.test.ts';
import { checkAccepted, disclosedTags, prepareInput } from './prepare-input.ts';

const contract = parseModelContract(
  readFileSync(
    new URL('../../../../models/cxr-pneumonia-cam/contract.json', import.meta.url),
    'utf8',
  ),
);
type Image = Partial<Parameters<typeof makeImage>[0]>;
const ramp = (rows: number, columns: number): Uint8Array =>
  Uint8Array.from({ length: rows * columns }, (_, i) => i % 256);
const square = (image: Image = {}): ReturnType<typeof makeImage> =>
  makeImage({ rows: 224, columns: 224, native: ramp(224, 224), ...image });

const modality = (value: string): Image => ({
  elements: [{ tag: TAG.Modality, vr: 'CS', value }],
});

const bodyPart = (value: string): Image => ({
  elements: [{ tag: TAG.BodyPartExamined, vr: 'CS', value }],
});

describe('prepareInput', () => {
  it('gives an 8-bit image of the right size as it is', async () => {
    const input = prepareInput(await decodePixels(square()), contract);
    assert.deepEqual(Array.from(input), Array.from(ramp(224, 224)));
  });

  it('resizes within the range, aspect ratio not kept', async () => {
    const file = makeImage({ rows: 300, columns: 90, native: ramp(300, 90) });
    const input = prepareInput(await decodePixels(file), contract);
    assert.equal(input.length, 224 * 224);
    assert.ok(input.every((value) => value >= 0 && value <= 255));
  });

  it('refuses a constant image', async () => {
    const frame = await decodePixels(square({ native: new Uint8Array(224 * 224).fill(7) }));
    assert.throws(() => prepareInput(frame, contract), { name: 'ImagingError', code: 'constant' });
  });

  const frames = { elements: [{ tag: TAG.NumberOfFrames, vr: 'IS', value: '2' }] };
  const cases: readonly (readonly [string, Image, string])[] = [
    ['another modality', modality('CT'), 'modality_not_accepted'],
    ['another body part', bodyPart('HAND'), 'body_part_not_accepted'],
    ['several frames', { ...frames, native: ramp(448, 224) }, 'frames_not_accepted'],
    ['a thumbnail', { rows: 63, columns: 64, native: ramp(63, 64) }, 'too_small'],
  ];
  for (const [name, image, code] of cases) {
    it(`refuses ${name}`, async () => {
      const file = square(image);
      assert.throws(() => checkAccepted(file, contract), { code });
      const frame = await decodePixels(file);
      assert.throws(() => prepareInput(frame, contract), { code });
    });
  }

  it('takes an image that names no body part', () => {
    checkAccepted(square(bodyPart('')), contract);
  });
});

describe('disclosedTags', () => {
  it('gives what the contract names, and nothing else', () => {
    assert.deepEqual(disclosedTags(square(), contract), { Modality: 'DX' });
    const more = {
      ...contract,
      discloses: ['Modality', 'BodyPartExamined', 'PatientSex'] as const,
    };
    assert.deepEqual(disclosedTags(square(), more), { Modality: 'DX', BodyPartExamined: 'CHEST' });
  });
});
