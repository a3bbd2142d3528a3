export {
  DISCLOSABLE,
  findingScore,
  parseModelContract,
  type DisclosableTag,
  type LocalText,
  type ModelContract,
  type Preprocessing,
} from './contract/model-contract.ts';
export {
  MAX_FILE_BYTES,
  parseDicom,
  type DicomFile,
  type PixelDescription,
} from './dicom/dicom-file.ts';
export type { DataElement, DataSet } from './dicom/data-set.ts';
export type { TransferSyntax } from './dicom/transfer-syntax.ts';
export { decodePixels } from './imaging/decode-pixels.ts';
export { isImageKind } from './imaging/image-kind.ts';
export { ImagingError, type ImagingCode } from './imaging/imaging-error.ts';
export type { PixelFrame, Samples } from './imaging/pixel-frame.ts';
export { checkAccepted, disclosedTags, prepareInput } from './imaging/prepare-input.ts';
export { renderPreview } from './imaging/render-preview.ts';
export {
  uidFromRandom,
  wrapSecondaryCapture,
  type SecondaryCaptureSource,
} from './imaging/secondary-capture.ts';
export { isFhirResourceType } from './fhir/definitions.ts';
export { validateFhir, type FhirIssue } from './fhir/validate-fhir.ts';
