import { availableParallelism } from 'node:os';
import type { Manifest } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import { errorCode } from '@cloister/service';
import type { InferenceLog } from '../events.ts';
import { openModelStore } from './model-store.ts';
import { servedModels, type ServedModel } from './served-model.ts';
import { createWorkerPool, type WorkerPool } from './worker-pool.ts';

/** Which models, from where, and by what key. */
export interface OpenModelsOptions {
  readonly folder: string | undefined;
  /** Those of the manifest. */
  readonly agreed: Manifest['models'];
  /** The `model-key`; undefined where the secret is missing. */
  readonly key: Bytes | undefined;
  /** How many threads; half the processors unless told. */
  readonly workers: number | undefined;
  readonly log: InferenceLog;
}

/** Opens the models that the manifest names, and loads them into worker threads. */
export async function openModels({
  folder,
  agreed,
  key,
  workers = Math.max(1, Math.floor(availableParallelism() / 2)),
  log,
}: OpenModelsOptions): Promise<{
  readonly models: readonly ServedModel[];
  readonly pool: WorkerPool;
}> {
  const store = await openModelStore({ folder, models: agreed, key });
  const pool = await createWorkerPool({
    models: store.models,
    size: workers,
    onLost: (error) => log('worker_lost', { code: errorCode(error) }),
  });
  const models = servedModels(store, pool);
  for (const [model, served] of models.entries()) {
    if ('refusal' in served) log('model_refused', { model, code: served.refusal });
  }
  return { models, pool };
}
