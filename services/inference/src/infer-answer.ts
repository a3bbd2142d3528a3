import { concatBytes, encodeUtf8, type Bytes } from '@cloister/bytes';
import { HEADER_LENGTH, type InferRequest } from './infer-request.ts';
import type { OutputTensor } from './models/worker-messages.ts';

/** Output tensors as little-endian bytes, in the order of the answer: what the receipt is over. */
export function rawOutputs(outputs: readonly OutputTensor[]): readonly Bytes[] {
  return outputs.map(({ data }) => {
    const raw = new Uint8Array(4 * data.length);
    const view = new DataView(raw.buffer);
    for (const [i, value] of data.entries()) view.setFloat32(4 * i, value, true);
    return raw;
  });
}

/** The answer of `POST …/infer`: JSON, and behind it the tensors that were wanted as binary. */
export function encodeInferAnswer(answer: {
  readonly model: string;
  readonly version: string;
  readonly requestId: string;
  readonly receipt: string;
  readonly evidenceDigest: string;
  readonly wanted: InferRequest['outputs'];
  readonly outputs: readonly OutputTensor[];
  readonly raw: readonly Bytes[];
}): Response {
  const { wanted, outputs, raw } = answer;
  const json = {
    id: answer.requestId,
    model_name: answer.model,
    model_version: answer.version,
    parameters: { receipt: answer.receipt, evidence_digest: answer.evidenceDigest },
    outputs: outputs.map(({ name, shape, data }, i) => ({
      name,
      datatype: 'FP32',
      shape,
      ...(wanted[i]?.binary
        ? { parameters: { binary_data_size: raw[i]?.length ?? 0 } }
        : { data: Array.from(data) }),
    })),
  };
  const header = encodeUtf8(JSON.stringify(json));
  const tensors = raw.filter((_, i) => wanted[i]?.binary);
  const headers = { 'cache-control': 'no-store' };
  if (tensors.length === 0) {
    return new Response(header, { headers: { ...headers, 'content-type': 'application/json' } });
  }
  return new Response(concatBytes(header, ...tensors), {
    headers: {
      ...headers,
      'content-type': 'application/octet-stream',
      [HEADER_LENGTH]: String(header.length),
    },
  });
}
