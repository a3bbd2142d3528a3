import {
  asBytes,
  concatBytes,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { sha256 } from '@cloister/crypto';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, jsonOf, type Answer } from './exchange.ts';
import { numberOf, numbersOf, objectOf, objectsOf, readAnswer, textOf } from './fields.ts';

/** A tensor of 32-bit floats. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What is asked of a model. */
export interface InferRequest {
  readonly model: string;
  readonly version: string;
  readonly tensor: Float32Array;
  /** The input's shape; the model's contract states it. */
  readonly shape: readonly number[];
  /** The input's name; `image` unless told. */
  readonly inputName?: string;
  /** Comes back in the answer and in the receipt. */
  readonly requestId: string;
  /**
   * The evidence that the receipt shall name, by its SHA-256. Evidence is made anew for each caller:
   * without this the receipt names the newest, which may be what somebody else asked for.
   */
  readonly evidenceDigest?: string;
}

/** A model's answer, with the digests that its receipt must carry, computed by the caller. */
export interface InferAnswer {
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Compact JWS of design 3.5: see `verifyReceipt`. */
  readonly receipt: string;
  /** Lower hex SHA-256 of the raw input tensor as it was sent. */
  readonly inputDigest: string;
  /** Lower hex SHA-256 of the raw output tensors in order as they came. */
  readonly outputDigest: string;
}

/** Client of the Open Inference Protocol v2 (REST, binary tensors). */
export interface InferenceClient {
  /** `GET /v2/models/{m}/versions/{v}`. */
  readonly metadata: (model: string, version: string) => Promise<JsonObject>;
  /** Whether the server says that it is ready. */
  readonly ready: () => Promise<boolean>;
  /** The model's contract as text: its digest stands in the manifest. */
  readonly contract: (model: string, version: string) => Promise<string>;
  readonly infer: (request: InferRequest) => Promise<InferAnswer>;
}

const HEADER = 'inference-header-content-length';
const LIMIT = 64 << 20;

/** Makes a client over a channel to a verified inference service. */
export function createInferenceClient(fetch: Fetch): InferenceClient {
  const base = 'https://inference/v2';
  const modelPath = (model: string, version: string) =>
    `${base}/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}`;
  const get = async (url: string, where: string, limit = 1 << 20): Promise<Answer> => {
    const answer = await exchange(fetch, new Request(url), { where, limit });
    expectStatus(answer, where, 200);
    return answer;
  };
  return {
    async metadata(model, version) {
      return jsonOf(await get(modelPath(model, version), 'model metadata'), 'model metadata');
    },
    async ready() {
      const request = new Request(`${base}/health/ready`);
      const answer = await exchange(fetch, request, { where: 'health', limit: 1 << 16 });
      return answer.status === 200;
    },
    async contract(model, version) {
      const answer = await get(`${modelPath(model, version)}/contract`, 'model contract');
      return readAnswer('model contract', () => decodeUtf8(answer.body, 'model contract'));
    },
    async infer(request) {
      const tensor = littleEndian(request.tensor);
      const header = encodeUtf8(JSON.stringify(inferHeader(request, tensor.length)));
      const sent = new Request(`${modelPath(request.model, request.version)}/infer`, {
        method: 'POST',
        headers: {
          'content-type': 'application/octet-stream',
          [HEADER]: String(header.length),
        },
        body: concatBytes(header, tensor),
      });
      const answer = await exchange(fetch, sent, { where: 'infer', limit: LIMIT });
      expectStatus(answer, 'infer', 200);
      const parsed = readAnswer('infer', () => parseInferAnswer(answer, request));
      const [inputDigest, outputDigest] = await Promise.all([
        sha256(tensor),
        sha256(concatBytes(...parsed.raw)),
      ]);
      return {
        outputs: parsed.outputs,
        receipt: parsed.receipt,
        inputDigest: encodeHex(inputDigest),
        outputDigest: encodeHex(outputDigest),
      };
    },
  };
}

function inferHeader(request: InferRequest, length: number): JsonObject {
  const size = request.shape.reduce((product, n) => product * n, 1);
  if (size !== request.tensor.length) throw new ClientError('invalid', 'infer: shape');
  return {
    id: request.requestId,
    parameters: {
      binary_data_output: true,
      ...(request.evidenceDigest === undefined ? {} : { evidence_digest: request.evidenceDigest }),
    },
    inputs: [
      {
        name: request.inputName ?? 'image',
        shape: [...request.shape],
        datatype: 'FP32',
        parameters: { binary_data_size: length },
      },
    ],
  };
}

interface ParsedAnswer {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly raw: readonly Bytes[];
  readonly receipt: string;
}

function parseInferAnswer(answer: Answer, request: InferRequest): ParsedAnswer {
  const declared = answer.headers.get(HEADER);
  if (declared === null || !/^(0|[1-9][0-9]{0,8})$/.test(declared))
    throw new MalformedError('bad_value', HEADER);
  const headerLength = Number(declared);
  if (headerLength > answer.body.length) throw new MalformedError('truncated', HEADER);
  const header = parseJsonObject(
    decodeUtf8(answer.body.subarray(0, headerLength), 'answer header'),
    'answer header',
  );
  if (textOf(header, 'id') !== request.requestId) throw new MalformedError('bad_value', 'id');
  if (textOf(header, 'model_name') !== request.model)
    throw new MalformedError('bad_value', 'model_name');
  const version = header['model_version'];
  if (version !== undefined && version !== request.version)
    throw new MalformedError('bad_value', 'model_version');

  const outputs = new Map<string, Tensor>();
  const raw: Bytes[] = [];
  let at = headerLength;
  for (const output of objectsOf(header, 'outputs')) {
    const name = textOf(output, 'name');
    if (outputs.has(name)) throw new MalformedError('bad_value', 'outputs: name twice');
    if (textOf(output, 'datatype') !== 'FP32') throw new MalformedError('bad_value', 'datatype');
    const shape = numbersOf(output, 'shape');
    if (!shape.every((n) => Number.isInteger(n) && n > 0))
      throw new MalformedError('bad_value', 'shape');
    const size = numberOf(objectOf(output, 'parameters'), 'binary_data_size');
    if (size !== 4 * shape.reduce((product, n) => product * n, 1))
      throw new MalformedError('bad_value', 'binary_data_size');
    if (at + size > answer.body.length) throw new MalformedError('truncated', 'output tensor');
    const bytes = asBytes(answer.body.subarray(at, at + size));
    raw.push(bytes);
    outputs.set(name, { shape, data: floatsOf(bytes) });
    at += size;
  }
  if (at !== answer.body.length) throw new MalformedError('trailing_bytes', 'output tensors');
  if (outputs.size === 0) throw new MalformedError('bad_value', 'outputs');
  const parameters = header['parameters'];
  if (!isJsonObject(parameters)) throw new MalformedError('bad_value', 'parameters');
  return { outputs: Object.fromEntries(outputs), raw, receipt: textOf(parameters, 'receipt') };
}

function littleEndian(values: Float32Array): Bytes {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setFloat32(i * 4, value, true));
  return bytes;
}

function floatsOf(bytes: Bytes): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
}
