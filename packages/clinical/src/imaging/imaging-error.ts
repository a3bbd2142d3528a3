/** Why an image cannot be used. Stable: callers switch on it, messages may change. */
export type ImagingCode =
  | 'unsupported_transfer_syntax'
  | 'unsupported_pixels'
  | 'malformed'
  | 'no_pixels'
  | 'too_large'
  | 'modality_not_accepted'
  | 'body_part_not_accepted'
  | 'frames_not_accepted'
  | 'too_small'
  | 'window_missing'
  | 'constant'
  | 'nan';

/** Thrown when an image is readable in principle, but not here, or not for this purpose. */
export class ImagingError extends Error {
  override readonly name = 'ImagingError';
  readonly code: ImagingCode;
  /** What is wrong, in plain words; names structures and limits, never values of the image. */
  readonly detail: string;

  constructor(code: ImagingCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.detail = detail;
  }
}
