import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, encodeUtf8 } from '@cloister/bytes';
import { TAG } from '../dicom/tag.ts';
import type { NewElement } from '../dicom/write-part10.ts';
import { decodePixels } from './decode-pixels.ts';
import { toDisplay, toGrey } from './grey.ts';
import { decimal, makeImage, words } from './made-image.test.ts';

const FALLBACK = { center: 127.5, width: 255 };
type Image = Parameters<typeof makeImage>[0];

async function greys(
  values: readonly number[],
  image: Partial<Image> = {},
  fallback: Parameters<typeof toDisplay>[1] = FALLBACK,
): Promise<number[]> {
  const native = image.bits === 16 ? words(...values) : Uint8Array.from(values);
  const file = makeImage({ rows: 1, columns: values.length, native, ...image });
  const display = toDisplay(await decodePixels(file), fallback);
  return Array.from(display.values, (value) => Math.round(value * 100) / 100);
}

const window = (center: string, width: string): NewElement[] => [
  decimal(TAG.WindowCenter, center),
  decimal(TAG.WindowWidth, width),
];

const kind = (value: string): NewElement => ({
  tag: TAG.WindowCenterWidthFunction,
  vr: 'CS',
  value,
});

const lut = (tag: number, first: number, entries: readonly number[], bits: number): NewElement => ({
  tag,
  vr: 'SQ',
  value: sequence(words(entries.length, first, bits), words(...entries)),
});

describe('toDisplay', () => {
  it('leaves 8 bits without a window what they are', async () => {
    assert.deepEqual(await greys([0, 1, 128, 255]), [0, 1, 128, 255]);
  });

  it('applies the linear window of PS3.3 C.11.2.1.2.1', async () => {
    // c = 2048, w = 4096: 0 is black, 4095 is white.
    const elements = window('2048', '4096');
    assert.deepEqual(await greys([0, 4095, 5000], { bits: 16, elements }), [0, 255, 255]);
    // c = 0, w = 100 of the standard's example: -50 and below 0, 49 and above the maximum.
    const ct = [
      ...window('40', '100'),
      decimal(TAG.RescaleIntercept, '-1024'),
      decimal(TAG.RescaleSlope, '1'),
    ];
    assert.deepEqual(
      await greys([1014, 1015, 1113, 1114], { bits: 16, elements: ct }),
      [0, 2.58, 255, 255],
    );
  });

  it('applies linear-exact and sigmoid windows, and steps for a width of one', async () => {
    const exact = [...window('100', '200'), kind('LINEAR_EXACT')];
    assert.deepEqual(await greys([0, 50, 100, 200], { elements: exact }), [0, 63.75, 127.5, 255]);
    const sigmoid = [...window('100', '40'), kind('SIGMOID ')];
    assert.deepEqual(await greys([100], { elements: sigmoid }), [127.5]);
    assert.deepEqual(await greys([99, 100, 101], { elements: window('100', '1') }), [0, 255, 255]);
    await assert.rejects(greys([1], { elements: [...window('1', '2'), kind('OTHER')] }), {
      code: 'bad_value',
    });
    await assert.rejects(greys([1], { elements: window('1', '0') }), { code: 'bad_value' });
  });

  it('takes the first of several windows', async () => {
    const elements = window('128\\40', '256\\80');
    assert.deepEqual(await greys([0, 255], { elements }), [0, 255]);
  });

  it('rescales by slope and intercept before the window, signed too', async () => {
    const elements = [
      ...window('0', '201'),
      decimal(TAG.RescaleSlope, '0.5'),
      decimal(TAG.RescaleIntercept, '-10'),
    ];
    // -180 * 0.5 - 10 = -100 is black; 220 * 0.5 - 10 = 100 is white.
    const signed = { bits: 16, signed: true, elements } as const;
    assert.deepEqual(await greys([-180, 220], signed), [0.64, 255]);
    const flat = [...window('0', '201'), decimal(TAG.RescaleSlope, '0')];
    await assert.rejects(greys([1], { elements: flat }), { code: 'bad_value' });
  });

  it('turns MONOCHROME1 round after the window', async () => {
    const photometric = 'MONOCHROME1';
    assert.deepEqual(await greys([0, 100, 255], { photometric }), [255, 155, 0]);
  });

  it('refuses to guess a window for deeper images, except for a preview', async () => {
    await assert.rejects(greys([0, 4095], { bits: 16 }), { code: 'window_missing' });
    assert.deepEqual(await greys([1000, 3000, 2000], { bits: 16 }, 'full-range'), [0, 255, 127.5]);
  });

  it('applies modality and VOI look-up tables', async () => {
    const voi = lut(TAG.VoiLutSequence, 10, [0, 128, 255], 8);
    assert.deepEqual(await greys([0, 10, 11, 12, 200], { elements: [voi] }), [0, 0, 128, 255, 255]);
    const modality = lut(TAG.ModalityLutSequence, 0, [0, 100, 200], 8);
    const elements = [modality, ...window('100', '201')];
    assert.deepEqual(await greys([0, 1, 2], { elements }), [0.64, 128.14, 255]);
  });

  it('looks colours up in a palette, and weighs them to grey', async () => {
    const descriptor = words(2, 0, 16);
    const palette = (tag: number, dataTag: number, values: readonly number[]): NewElement[] => [
      { tag, vr: 'US', value: descriptor },
      { tag: dataTag, vr: 'OW', value: words(...values) },
    ];
    const elements = [
      ...palette(TAG.RedPaletteDescriptor, TAG.RedPaletteData, [0, 65_535]),
      ...palette(TAG.GreenPaletteDescriptor, TAG.GreenPaletteData, [0, 0]),
      ...palette(TAG.BluePaletteDescriptor, TAG.BluePaletteData, [65_535, 0]),
    ];
    assert.deepEqual(
      await greys([0, 1], { photometric: 'PALETTE COLOR', elements }),
      [0, 0, 255, 255, 0, 0],
    );
    await assert.rejects(greys([0], { photometric: 'PALETTE COLOR' }), { code: 'bad_value' });
    const file = makeImage({
      rows: 1,
      columns: 2,
      native: Uint8Array.of(0, 1),
      photometric: 'PALETTE COLOR',
      elements,
    });
    const grey = toGrey(toDisplay(await decodePixels(file), FALLBACK), [0.299, 0.587, 0.114]);
    assert.deepEqual(Array.from(grey, Math.round), [29, 76]);
  });

  it('turns YBR_FULL into RGB', async () => {
    const native = Uint8Array.of(76, 85, 255, 255, 128, 128);
    const file = makeImage({ rows: 1, columns: 2, native, samples: 3, photometric: 'YBR_FULL' });
    const { values } = toDisplay(await decodePixels(file), FALLBACK);
    assert.deepEqual(Array.from(values, Math.round), [254, 0, 0, 255, 255, 255]);
  });

  it('refuses colour models that it does not know', async () => {
    await assert.rejects(greys([1], { photometric: 'CMYK' }), { code: 'unsupported_pixels' });
    await assert.rejects(greys([1], { photometric: 'RGB' }), { code: 'malformed' });
  });
});

const element = (tag: number, vr: string, value: Uint8Array): Uint8Array =>
  concatBytes(words(tag >>> 16, tag & 0xffff), encodeUtf8(vr), words(value.length), value);

/** A sequence of one item with LUT descriptor and data. */
function sequence(descriptor: Uint8Array, data: Uint8Array): Uint8Array {
  const item = concatBytes(
    element(TAG.LutDescriptor, 'US', descriptor),
    element(TAG.LutData, 'US', data),
  );
  return concatBytes(words(0xfffe, 0xe000, item.length, 0), item);
}
