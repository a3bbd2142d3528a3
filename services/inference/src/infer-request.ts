import {
  decodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import type { ModelContract } from '@cloister/clinical';
import { InferenceError } from './inference-error.ts';

/** An inference request of the Open Inference Protocol v2 that fits the model's contract. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly evidenceDigest: string | undefined;
  /** The input tensor as little-endian bytes: what the receipt's digest is over. */
  readonly raw: Bytes;
  readonly data: Float32Array<ArrayBuffer>;
  /** What is wanted, in the order in which it is answered. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
}

/** The header that tells where the JSON ends and the tensors begin (binary tensor extension). */
export const HEADER_LENGTH = 'inference-header-content-length';
const MAX_HEADER = 16 * 1024;
const ID = /^[\w.:-]{1,128}$/;

/**
 * Reads the body of `POST …/infer`: exactly the one input of the contract, with its name, datatype
 * and shape, binary or as JSON numbers; every value finite and in the contract's range, not all the
 * same. Anything else is refused with a code.
 */
export function parseInferRequest(
  body: Bytes,
  headerLength: string | undefined,
  contract: ModelContract,
): InferRequest {
  const { header, binary } = split(body, headerLength);
  const parameters = objectOf(header, 'parameters');
  const input = onlyInput(header);
  checkInput(input, contract);
  const count = contract.input.shape.reduce((product, size) => product * size, 1);
  const raw = rawInput(input, binary, count);
  const data = floatsOf(raw);
  checkValues(data, contract);
  const { id } = header;
  if (id !== undefined && (typeof id !== 'string' || !ID.test(id))) {
    throw new InferenceError('header_invalid', 'id: letters, digits and ._:- up to 128');
  }
  const evidenceDigest = parameters['evidence_digest'];
  const isDigest = typeof evidenceDigest === 'string' && /^[0-9a-f]{64}$/.test(evidenceDigest);
  if (evidenceDigest !== undefined && !isDigest) {
    throw new InferenceError('header_invalid', 'evidence_digest: SHA-256 in lower hex');
  }
  return {
    id,
    evidenceDigest: isDigest ? evidenceDigest : undefined,
    raw,
    data,
    outputs: wantedOutputs(header, parameters, contract),
  };
}

function split(body: Bytes, declared: string | undefined): { header: JsonObject; binary: Bytes } {
  const length = declared === undefined ? body.length : Number(declared);
  const isNumber = declared === undefined || /^(?:0|[1-9][0-9]{0,8})$/.test(declared);
  if (!isNumber || length > body.length || (declared !== undefined && length > MAX_HEADER)) {
    throw new InferenceError('header_length', 'Inference-Header-Content-Length');
  }
  try {
    const text = decodeUtf8(body.subarray(0, length), 'inference header');
    const limits = { maxDepth: 8, maxLength: Math.max(MAX_HEADER, body.length) };
    return {
      header: parseJsonObject(text, 'inference header', limits),
      binary: body.subarray(length),
    };
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new InferenceError('header_invalid', cause.where, { cause });
  }
}

function objectOf(parent: JsonObject, name: string): JsonObject {
  const value = parent[name] ?? {};
  if (!isJsonObject(value)) throw new InferenceError('header_invalid', name);
  return value;
}

function onlyInput(header: JsonObject): JsonObject {
  const inputs = header['inputs'];
  const [input, ...more] = Array.isArray(inputs) ? inputs : [];
  if (!isJsonObject(input) || more.length > 0) {
    throw new InferenceError('header_invalid', 'inputs: exactly one');
  }
  return input;
}

function checkInput(input: JsonObject, { input: expected }: ModelContract): void {
  if (input['name'] !== expected.name) throw new InferenceError('input_name', 'inputs[0].name');
  if (input['datatype'] !== expected.datatype) {
    throw new InferenceError('input_datatype', `inputs[0].datatype: ${expected.datatype}`);
  }
  const { shape } = input;
  const fits =
    Array.isArray(shape) &&
    shape.length === expected.shape.length &&
    shape.every((size, i) => size === expected.shape[i]);
  if (!fits)
    throw new InferenceError('input_shape', `inputs[0].shape: ${expected.shape.join(' x ')}`);
}

function rawInput(input: JsonObject, binary: Bytes, count: number): Bytes {
  const declared = objectOf(input, 'parameters')['binary_data_size'];
  if (declared !== undefined) {
    if (declared !== 4 * count || binary.length !== declared || input['data'] !== undefined) {
      throw new InferenceError('input_size', `binary_data_size: ${4 * count}`);
    }
    return binary;
  }
  if (binary.length > 0) throw new InferenceError('input_size', 'bytes that belong to no tensor');
  const raw = new Uint8Array(4 * count);
  const view = new DataView(raw.buffer);
  let at = 0;
  for (const value of flatten(input['data'] ?? null, count)) {
    view.setFloat32(at, value, true);
    at += 4;
  }
  return raw;
}

/** JSON tensors may be flat or nested; the protocol takes both, row by row. */
function flatten(data: JsonValue, count: number): readonly number[] {
  const out: number[] = [];
  const visit = (value: JsonValue): void => {
    if (typeof value === 'number' && out.length < count) out.push(value);
    else if (Array.isArray(value)) for (const item of value) visit(item);
    else throw new InferenceError('input_size', `inputs[0].data: ${count} numbers`);
  };
  visit(data);
  if (out.length !== count) throw new InferenceError('input_size', `inputs[0].data: ${count}`);
  return out;
}

function floatsOf(raw: Bytes): Float32Array<ArrayBuffer> {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const data = new Float32Array(raw.length / 4);
  for (let i = 0; i < data.length; i++) data[i] = view.getFloat32(4 * i, true);
  return data;
}

function checkValues(data: Float32Array, contract: ModelContract): void {
  const { from, to } = contract.input.preprocessing.range;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of data) {
    if (!Number.isFinite(value))
      throw new InferenceError('input_not_finite', 'a value is no number');
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (contract.input.refuse.includes('constant') && !(high > low)) {
    throw new InferenceError('input_constant', 'all values are the same');
  }
  // Sums of rounded weights may end a hair outside.
  const slack = (to - from) * 1e-3;
  if (low < from - slack || high > to + slack) {
    throw new InferenceError('input_range', `values from ${from} to ${to}`);
  }
}

function wantedOutputs(
  header: JsonObject,
  parameters: JsonObject,
  contract: ModelContract,
): InferRequest['outputs'] {
  const all = parameters['binary_data_output'] === true;
  const wanted = header['outputs'];
  if (wanted === undefined) {
    return Object.keys(contract.outputs).map((name) => ({ name, binary: all }));
  }
  if (!Array.isArray(wanted) || wanted.length === 0) {
    throw new InferenceError('header_invalid', 'outputs');
  }
  const seen = new Set<string>();
  return wanted.map((output) => {
    const name = isJsonObject(output) ? output['name'] : undefined;
    if (!isJsonObject(output) || typeof name !== 'string' || seen.has(name)) {
      throw new InferenceError('header_invalid', 'outputs: names, each once');
    }
    if (!Object.hasOwn(contract.outputs, name)) {
      throw new InferenceError('output_unknown', 'outputs: a name that the contract does not have');
    }
    seen.add(name);
    const binary = objectOf(output, 'parameters')['binary_data'] ?? all;
    return { name, binary: binary === true };
  });
}
