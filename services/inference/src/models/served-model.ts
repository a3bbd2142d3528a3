import type { Manifest, ModelIdentity } from '@cloister/attestation';
import type { ModelRefusal, ModelStore, StoredModel } from './model-store.ts';
import type { ModelMetadata, TensorMetadata } from './worker-messages.ts';
import type { WorkerPool } from './worker-pool.ts';

/** A model of the manifest: served, or not and why. */
export type ServedModel =
  | {
      readonly name: string;
      readonly version: string;
      readonly stored: StoredModel;
      /** Its number in the worker pool. */
      readonly id: number;
      readonly metadata: ModelMetadata;
    }
  | { readonly name: string; readonly version: string; readonly refusal: ModelRefusal };

/** All models of the manifest, by what came of loading them. */
export function servedModels(store: ModelStore, pool: WorkerPool): readonly ServedModel[] {
  const loaded = store.models.map((stored, id): ServedModel => {
    const { name, version } = stored;
    const metadata = pool.metadata.get(id);
    return metadata !== undefined && fitsContract(metadata, stored)
      ? { name, version, stored, id, metadata }
      : { name, version, refusal: 'model_invalid' };
  });
  const refused = store.refused.map(({ name, version, code }): ServedModel => {
    return { name, version, refusal: code };
  });
  return [...loaded, ...refused];
}

/**
 * The models by the manifest that is in force: what it no longer names, or names with another
 * digest, is not served any more; what is new in it is loaded by the next process.
 */
export function agreedModels(
  models: readonly ServedModel[],
  { models: agreed = {} }: Pick<Manifest, 'models'>,
): readonly ServedModel[] {
  const judged = models.map((model): ServedModel => {
    const { name, version } = model;
    const now = agreed[name]?.[version];
    if (now === undefined) return { name, version, refusal: 'not_agreed' };
    if ('refusal' in model) return model;
    const { digest, contractDigest } = model.stored;
    const isSame = digest === now.digest && contractDigest === now.contract;
    return isSame ? model : { name, version, refusal: 'not_agreed' };
  });
  const added = Object.entries(agreed).flatMap(([name, versions]) =>
    Object.keys(versions)
      .filter((version) => !models.some((one) => one.name === name && one.version === version))
      .map((version): ServedModel => ({ name, version, refusal: 'not_loaded' })),
  );
  return [...judged, ...added];
}

/** What the runtime data list (design 2.2): the loaded models and no others. */
export function modelIdentities(models: readonly ServedModel[]): readonly ModelIdentity[] {
  return models.flatMap((model) =>
    'stored' in model
      ? [{ name: model.name, version: model.version, digest: model.stored.digest }]
      : [],
  );
}

/** Whether the model has the one input and all the outputs of its contract. */
function fitsContract(metadata: ModelMetadata, { contract }: StoredModel): boolean {
  const [input, ...more] = metadata.inputs;
  if (input === undefined || more.length > 0 || input.name !== contract.input.name) return false;
  if (!fits(input, contract.input.shape)) return false;
  return Object.entries(contract.outputs).every(([name, { shape }]) => {
    const output = metadata.outputs.find((one) => one.name === name);
    return output !== undefined && fits(output, shape);
  });
}

function fits(tensor: TensorMetadata, shape: readonly number[]): boolean {
  return (
    tensor.type === 'float32' &&
    tensor.shape.length === shape.length &&
    tensor.shape.every((size, i) => size === -1 || size === shape[i])
  );
}
