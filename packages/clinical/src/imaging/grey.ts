import { MalformedError } from '@cloister/bytes';
import type { DataSet } from '../dicom/data-set.ts';
import { decimals, string } from '../dicom/dicom-file.ts';
import { TAG } from '../dicom/tag.ts';
import { ImagingError } from './imaging-error.ts';
import { lookUp, parseLut, type Lut } from './lut.ts';
import type { PixelFrame } from './pixel-frame.ts';

/** A VOI window (PS3.3 C.11.2). */
export interface Window {
  readonly center: number;
  readonly width: number;
}

/** A grey or colour image in 0..255, brightness as a person should see it. */
export interface DisplayImage {
  readonly rows: number;
  readonly columns: number;
  readonly channels: 1 | 3;
  readonly values: Float32Array<ArrayBuffer>;
}

/**
 * Applies modality LUT, VOI window and polarity to a grey frame, palette or colour model to a
 * coloured one (PS3.3 C.11.1, C.11.2, C.7.6.3.1.2). `fallback` is the window where the file has none.
 */
export function toDisplay(frame: PixelFrame, fallback: Window | 'full-range'): DisplayImage {
  const { rows, columns, photometric } = frame;
  switch (photometric) {
    case 'MONOCHROME1':
    case 'MONOCHROME2': {
      const values = windowed(frame, fallback);
      if (photometric === 'MONOCHROME1') {
        for (let i = 0; i < values.length; i++) values[i] = 255 - (values[i] ?? 0);
      }
      return { rows, columns, channels: 1, values };
    }
    case 'PALETTE COLOR':
      return { rows, columns, channels: 3, values: paletted(frame) };
    case 'RGB':
      return { rows, columns, channels: 3, values: scaled(frame) };
    case 'YBR_FULL':
      return { rows, columns, channels: 3, values: ybrToRgb(scaled(frame)) };
    case 'YBR_ICT':
    case 'YBR_RCT':
      // The JPEG 2000 decoder has undone its colour transform (PS3.5 8.2.4).
      return { rows, columns, channels: 3, values: scaled(frame) };
    default:
      throw new ImagingError('unsupported_pixels', 'the photometric interpretation is not read');
  }
}

/** One channel by the given weights of red, green and blue; grey stays what it is. */
export function toGrey(
  image: DisplayImage,
  weights: readonly [number, number, number],
): Float32Array<ArrayBuffer> {
  if (image.channels === 1) return image.values;
  const [red, green, blue] = weights;
  const out = new Float32Array(image.rows * image.columns);
  for (let i = 0; i < out.length; i++) {
    const at = 3 * i;
    const r = image.values[at] ?? 0;
    const g = image.values[at + 1] ?? 0;
    out[i] = red * r + green * g + blue * (image.values[at + 2] ?? 0);
  }
  return out;
}

function windowed(frame: PixelFrame, fallback: Window | 'full-range'): Float32Array<ArrayBuffer> {
  if (frame.samplesPerPixel !== 1) throw new ImagingError('malformed', 'grey with three samples');
  const { dataSet } = frame.file;
  const modality = modalityStep(frame, dataSet);
  const voi = voiStep(frame, dataSet, fallback, modality);
  const out = new Float32Array(frame.samples.length);
  for (let i = 0; i < out.length; i++) {
    const y = voi(modality(frame.samples[i] ?? 0));
    out[i] = y < 0 ? 0 : y > 255 ? 255 : y;
  }
  return out;
}

type Step = (value: number) => number;

/** PS3.3 C.11.1: a LUT, or slope and intercept; the identity where neither is there. */
function modalityStep(frame: PixelFrame, dataSet: DataSet): Step {
  const lut = lutOf(dataSet, TAG.ModalityLutSequence, frame.signed);
  if (lut) return (value) => lookUp(lut, value);
  const slope = decimals(dataSet, TAG.RescaleSlope)?.[0] ?? 1;
  const intercept = decimals(dataSet, TAG.RescaleIntercept)?.[0] ?? 0;
  if (slope === 0) throw new MalformedError('bad_value', 'DICOM rescale slope');
  return (value) => value * slope + intercept;
}

/** PS3.3 C.11.2: a window when there is one, else a VOI LUT, else the fallback. */
function voiStep(
  frame: PixelFrame,
  dataSet: DataSet,
  fallback: Window | 'full-range',
  modality: Step,
): Step {
  const center = decimals(dataSet, TAG.WindowCenter)?.[0];
  const width = decimals(dataSet, TAG.WindowWidth)?.[0];
  if (center !== undefined && width !== undefined) {
    return windowStep({ center, width }, string(dataSet, TAG.WindowCenterWidthFunction));
  }
  const lut = lutOf(dataSet, TAG.VoiLutSequence, frame.signed);
  if (lut) {
    const scale = 255 / (2 ** lut.bits - 1);
    return (value) => lookUp(lut, value) * scale;
  }
  if (fallback === 'full-range') return fullRange(frame, modality);
  // The fallback names grey values of eight bits: of a deeper image it would show a sliver.
  if (frame.bitsStored > 8) {
    throw new ImagingError('window_missing', 'the image has more than 8 bits and names no window');
  }
  return windowStep(fallback, 'LINEAR_EXACT');
}

function windowStep({ center, width }: Window, kind: string | undefined): Step {
  switch (kind) {
    case undefined:
    case '':
    case 'LINEAR': {
      if (width < 1) throw new MalformedError('bad_value', 'DICOM window width');
      // PS3.3 C.11.2.1.2.1; a width of 1 is a step at center - 0.5.
      if (width === 1) return (x) => (x <= center - 0.5 ? 0 : 255);
      return (x) => ((x - (center - 0.5)) / (width - 1) + 0.5) * 255;
    }
    case 'LINEAR_EXACT':
      if (width <= 0) throw new MalformedError('bad_value', 'DICOM window width');
      return (x) => ((x - center) / width + 0.5) * 255;
    case 'SIGMOID':
      if (width <= 0) throw new MalformedError('bad_value', 'DICOM window width');
      return (x) => 255 / (1 + Math.exp((-4 * (x - center)) / width));
    default:
      throw new MalformedError('bad_value', 'DICOM VOI LUT function');
  }
}

function fullRange(frame: PixelFrame, modality: Step): Step {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const sample of frame.samples) {
    const value = modality(sample);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (frame.bitsStored <= 8 && !frame.signed) [low, high] = [modality(0), modality(255)];
  const width = high - low;
  return width === 0 ? () => 0 : (value) => ((value - low) / width) * 255;
}

function lutOf(dataSet: DataSet, tag: number, signed: boolean): Lut | undefined {
  const item = dataSet.get(tag)?.items?.[0];
  if (!item) return undefined;
  const [descriptor, data] = [item.get(TAG.LutDescriptor), item.get(TAG.LutData)];
  if (!descriptor || !data) throw new MalformedError('bad_value', 'DICOM LUT');
  return parseLut(descriptor.value, data.value, signed);
}

function paletted(frame: PixelFrame): Float32Array<ArrayBuffer> {
  const { dataSet } = frame.file;
  if (frame.samplesPerPixel !== 1) throw new ImagingError('malformed', 'palette, three samples');
  const channels = [
    [TAG.RedPaletteDescriptor, TAG.RedPaletteData],
    [TAG.GreenPaletteDescriptor, TAG.GreenPaletteData],
    [TAG.BluePaletteDescriptor, TAG.BluePaletteData],
  ].map(([descriptorTag = 0, dataTag = 0]) => {
    const descriptor = dataSet.get(descriptorTag);
    const data = dataSet.get(dataTag);
    if (!descriptor || !data) throw new MalformedError('bad_value', 'DICOM palette');
    return parseLut(descriptor.value, data.value, frame.signed);
  });
  const out = new Float32Array(frame.samples.length * 3);
  for (const [channel, lut] of channels.entries()) {
    const scale = 255 / (2 ** lut.bits - 1);
    for (let i = 0; i < frame.samples.length; i++) {
      out[3 * i + channel] = lookUp(lut, frame.samples[i] ?? 0) * scale;
    }
  }
  return out;
}

function scaled(frame: PixelFrame): Float32Array<ArrayBuffer> {
  if (frame.samplesPerPixel !== 3) throw new ImagingError('malformed', 'colour with one sample');
  const scale = 255 / (2 ** frame.bitsStored - 1);
  return Float32Array.from(frame.samples, (value) => value * scale);
}

/** PS3.3 C.7.6.3.1.2: full-range YCbCr of ITU-R BT.601. */
function ybrToRgb(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  for (let at = 0; at < values.length; at += 3) {
    const y = values[at] ?? 0;
    const cb = (values[at + 1] ?? 0) - 128;
    const cr = (values[at + 2] ?? 0) - 128;
    values[at] = clamp(y + 1.402 * cr);
    values[at + 1] = clamp(y - 0.344136 * cb - 0.714136 * cr);
    values[at + 2] = clamp(y + 1.772 * cb);
  }
  return values;
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
