import type { ModelContract } from '../contract/model-contract.ts';
import { TAG } from '../dicom/tag.ts';
import { string, type DicomFile } from '../dicom/dicom-file.ts';
import { toDisplay, toGrey } from './grey.ts';
import { ImagingError } from './imaging-error.ts';
import type { PixelFrame } from './pixel-frame.ts';
import { resizeBicubic } from './resize.ts';

/**
 * The input tensor that a model's contract asks for: its steps in its order, row-major. Throws
 * ImagingError where the contract does not accept the image.
 */
export function prepareInput(
  frame: PixelFrame,
  contract: ModelContract,
): Float32Array<ArrayBuffer> {
  checkAccepted(frame.file, contract);
  const { fallbackWindow, greyWeights, size, range } = contract.input.preprocessing;
  const grey = toGrey(toDisplay(frame, fallbackWindow), greyWeights);
  const [rows, columns] = size;
  const input = resizeBicubic(grey, frame, { rows, columns });
  const scale = (range.to - range.from) / 255;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < input.length; i++) {
    // Bicubic overshoots at edges; Pillow clips there too.
    const clipped = Math.min(255, Math.max(0, input[i] ?? 0));
    const value = range.from + clipped * scale;
    input[i] = value;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const { refuse } = contract.input;
  if (refuse.includes('nan') && input.some((value) => Number.isNaN(value))) {
    throw new ImagingError('nan', 'the prepared image holds values that are no numbers');
  }
  if (refuse.includes('constant') && !(high > low)) {
    throw new ImagingError('constant', 'the image is one single grey value');
  }
  return input;
}

/** Refuses what the contract's `accepts` does not list, before any pixel is decoded. */
export function checkAccepted(file: DicomFile, contract: ModelContract): void {
  const { modality, bodyPart, frames, minimumSize } = contract.accepts;
  if (!file.pixels) throw new ImagingError('no_pixels', 'the object has no pixel data');
  if (!modality.includes(file.modality)) {
    throw new ImagingError('modality_not_accepted', `the model takes ${modality.join(', ')}`);
  }
  if (!bodyPart.includes((file.bodyPart ?? '').toUpperCase())) {
    throw new ImagingError('body_part_not_accepted', `the model takes ${bodyPart.join(', ')}`);
  }
  if (file.pixels.frames !== frames) {
    throw new ImagingError('frames_not_accepted', `the model takes ${frames} frame`);
  }
  if (file.pixels.rows < minimumSize[0] || file.pixels.columns < minimumSize[1]) {
    throw new ImagingError('too_small', `the model takes ${minimumSize.join(' x ')} and larger`);
  }
}

/**
 * The attributes that the contract has disclosed to its model, by keyword: nothing else of a file
 * but its pixels may leave. (PS3.15 annex E is the floor; this keeps what is named, and only that.)
 */
export function disclosedTags(
  file: DicomFile,
  contract: ModelContract,
): Readonly<Record<string, string>> {
  const disclosed: Record<string, string> = {};
  for (const keyword of contract.discloses) {
    const value = string(file.dataSet, TAG[keyword]);
    if (value !== undefined && value !== '') disclosed[keyword] = value;
  }
  return disclosed;
}
