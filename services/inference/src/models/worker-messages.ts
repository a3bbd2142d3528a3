/** A model as a worker gets it; the bytes are the worker's to overwrite. */
export interface WorkerModel {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What the pool tells a worker. */
export type ToWorker =
  | { readonly kind: 'load'; readonly models: readonly WorkerModel[] }
  | {
      readonly kind: 'run';
      readonly job: number;
      readonly model: number;
      readonly input: { readonly name: string; readonly shape: readonly number[] };
      readonly data: Float32Array<ArrayBuffer>;
      readonly outputs: readonly string[];
    };

/** A tensor that came out of a model. */
export interface OutputTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Name, type and shape of a tensor as the session tells them; a free dimension is -1. */
export interface TensorMetadata {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
}

/** What a session says of its model. */
export interface ModelMetadata {
  readonly id: number;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** What a worker answers. */
export type FromWorker =
  | { readonly kind: 'loaded'; readonly models: readonly ModelMetadata[] }
  | { readonly kind: 'done'; readonly job: number; readonly outputs: readonly OutputTensor[] }
  | { readonly kind: 'failed'; readonly job: number | undefined };
