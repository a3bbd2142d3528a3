import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { concatBytes, encodeHex } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { encodeInferAnswer, rawOutputs } from '../infer-answer.ts';
import { HEADER_LENGTH, parseInferRequest } from '../infer-request.ts';
import { errorResponse, InferenceError } from '../inference-error.ts';
import type { InnerEnv, InnerDeps } from '../inner-app.ts';
import { loadedModel } from './models.ts';

/** `POST /v2/models/{m}[/versions/{v}]/infer`: one tensor in, tensors and a receipt out. */
export function inferRoutes(app: Hono<InnerEnv>, deps: InnerDeps): void {
  const limit = bodyLimit({
    maxSize: deps.maxBody,
    onError: () => errorResponse(413, 'too_large', `at most ${deps.maxBody} bytes`),
  });
  const handle = async (c: Context<InnerEnv>): Promise<Response> => {
    const started = performance.now();
    const { stored, id } = loadedModel(deps, c.req.param('model'), c.req.param('version'));
    const { contract } = stored;
    const body = new Uint8Array(await c.req.raw.arrayBuffer());
    const request = parseInferRequest(body, c.req.header(HEADER_LENGTH), contract);
    const inputDigest = encodeHex(await sha256(request.raw));
    // Everything that was decided on is in `request` now; the pixels are not needed twice.
    request.raw.fill(0);
    body.fill(0);
    const evidenceDigest = await deps.evidenceDigest(request.evidenceDigest);
    const outputs = await deps.pool.infer({
      model: id,
      input: { name: contract.input.name, shape: contract.input.shape },
      data: request.data,
      outputs: request.outputs.map(({ name }) => name),
    });
    if (outputs.some(({ data }) => !data.every((value) => Number.isFinite(value)))) {
      throw new InferenceError('model_output', 'the model gave values that are no numbers');
    }
    const raw = rawOutputs(outputs);
    const requestId = request.id ?? deps.newId();
    const receipt = await deps.sign({
      model: stored.name,
      modelDigest: stored.digest,
      inputDigest,
      outputDigest: encodeHex(await sha256(concatBytes(...raw))),
      requestId,
      manifest: c.var.caller.manifestId,
      evidenceDigest,
    });
    const answer = encodeInferAnswer({
      model: stored.name,
      version: stored.version,
      requestId,
      receipt,
      evidenceDigest,
      wanted: request.outputs,
      outputs,
      raw,
    });
    for (const { data } of outputs) data.fill(0);
    for (const bytes of raw) bytes.fill(0);
    deps.onInferred(id, Math.round((performance.now() - started) * 10) / 10);
    return answer;
  };
  app.post('/v2/models/:model/versions/:version/infer', limit, handle);
  app.post('/v2/models/:model/infer', limit, handle);
}
