import type { Hono } from 'hono';
import { InferenceError } from '../inference-error.ts';
import type { InnerDeps, InnerEnv } from '../inner-app.ts';
import type { ServedModel } from '../models/served-model.ts';
import type { TensorMetadata } from '../models/worker-messages.ts';

/** Metadata, readiness and contract of the models (Open Inference Protocol v2). */
export function modelRoutes(app: Hono<InnerEnv>, deps: InnerDeps): void {
  for (const base of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    app.get(base, (c) => {
      const { name, metadata } = loadedModel(deps, c.req.param('model'), c.req.param('version'));
      const versions = deps.models().filter((model) => model.name === name);
      return c.json({
        name,
        versions: versions.map(({ version }) => version),
        platform: 'onnxruntime_onnx',
        inputs: metadata.inputs.map(describe),
        outputs: metadata.outputs.map(describe),
      });
    });
    app.get(`${base}/ready`, (c) => {
      const model = findModel(deps, c.req.param('model'), c.req.param('version'));
      if ('stored' in model && deps.pool.alive() > 0)
        return c.json({ name: model.name, ready: true });
      const reason = 'refusal' in model ? model.refusal : 'no_worker';
      return c.json({ name: model.name, ready: false, reason }, 503);
    });
    app.get(`${base}/contract`, (c) => {
      const { stored } = loadedModel(deps, c.req.param('model'), c.req.param('version'));
      // The very text whose digest stands in the manifest.
      return c.body(stored.contractText, 200, { 'content-type': 'application/json' });
    });
  }
}

/** The model of a path; without a version, the first that the manifest names. */
function findModel(
  { models }: InnerDeps,
  name: string | undefined,
  version: string | undefined,
): ServedModel {
  const found = models().find(
    (model) => model.name === name && (version === undefined || model.version === version),
  );
  if (!found) throw new InferenceError('model_not_found', 'no such model in the manifest');
  return found;
}

/** A model that can be asked; one that was refused answers why. */
export function loadedModel(
  deps: InnerDeps,
  name: string | undefined,
  version: string | undefined,
): Extract<ServedModel, { readonly stored: unknown }> {
  const model = findModel(deps, name, version);
  if ('stored' in model) return model;
  throw new InferenceError('model_not_ready', model.refusal);
}

function describe({ name, shape }: TensorMetadata): object {
  // Only float32 models are loaded.
  return { name, datatype: 'FP32', shape };
}
