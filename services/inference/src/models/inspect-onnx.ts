import { decodeUtf8, MalformedError } from '@cloister/bytes';

/** Operator sets that belong to ONNX itself; any other needs a library that is not loaded here. */
const DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml']);
const MAX_DEPTH = 16;

// Field numbers of onnx.proto. Messages that may hold others, and where.
const MODEL = { graph: 7, opsets: 8, functions: 25 } as const;
const GRAPH = { node: 1, initializer: 5, sparse: 15 } as const;
const FUNCTION = { node: 7 } as const;
const NODE = { attribute: 5, domain: 7 } as const;
const ATTRIBUTE = {
  tensor: 5,
  graph: 6,
  tensors: 10,
  graphs: 11,
  sparse: 22,
  sparses: 23,
} as const;
const TENSOR = { external: 13, location: 14 } as const;
const OPSET = { domain: 1 } as const;

/**
 * Refuses an ONNX model that would read other files or need other code: tensors with external data,
 * operators of foreign domains. The runtime is handed the bytes only after this; the bytes are
 * those of the manifest already.
 */
export function inspectOnnx(model: Uint8Array): void {
  for (const field of fields(model)) {
    if (field.number === MODEL.graph) inspectGraph(field.bytes, 0);
    if (field.number === MODEL.functions) inspectNodes(field.bytes, FUNCTION.node, 0);
    if (field.number === MODEL.opsets) inspectDomain(field.bytes, OPSET.domain);
  }
}

function inspectGraph(graph: Uint8Array, depth: number): void {
  if (depth > MAX_DEPTH) throw new MalformedError('too_deep', 'ONNX graph');
  inspectNodes(graph, GRAPH.node, depth);
  for (const { number, bytes } of fields(graph)) {
    if (number === GRAPH.initializer) inspectTensor(bytes);
    if (number === GRAPH.sparse) inspectSparse(bytes);
  }
}

function inspectNodes(parent: Uint8Array, nodeField: number, depth: number): void {
  for (const { number, bytes: node } of fields(parent)) {
    if (number !== nodeField) continue;
    inspectDomain(node, NODE.domain);
    for (const field of fields(node)) {
      if (field.number === NODE.attribute) inspectAttribute(field.bytes, depth);
    }
  }
}

function inspectAttribute(attribute: Uint8Array, depth: number): void {
  for (const { number, bytes } of fields(attribute)) {
    if (number === ATTRIBUTE.tensor || number === ATTRIBUTE.tensors) inspectTensor(bytes);
    if (number === ATTRIBUTE.sparse || number === ATTRIBUTE.sparses) inspectSparse(bytes);
    if (number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs) inspectGraph(bytes, depth + 1);
  }
}

function inspectTensor(tensor: Uint8Array): void {
  for (const { number, value } of fields(tensor)) {
    const isExternal = number === TENSOR.external || (number === TENSOR.location && value !== 0n);
    if (isExternal) throw new MalformedError('bad_value', 'ONNX tensor with external data');
  }
}

/** SparseTensorProto: its values and its indices are tensors. */
function inspectSparse(sparse: Uint8Array): void {
  for (const { number, bytes } of fields(sparse)) {
    if (number === 1 || number === 2) inspectTensor(bytes);
  }
}

function inspectDomain(message: Uint8Array, domainField: number): void {
  for (const { number, bytes } of fields(message)) {
    if (number === domainField && !DOMAINS.has(decodeUtf8(bytes, 'ONNX domain'))) {
      throw new MalformedError('bad_value', 'ONNX operator of a foreign domain');
    }
  }
}

interface Field {
  readonly number: number;
  /** Of a length-delimited field; empty for the others. */
  readonly bytes: Uint8Array;
  /** Of a varint field. */
  readonly value: bigint;
}

const NOTHING = new Uint8Array(0);

/** The fields of a protobuf message, one level deep. */
function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw new MalformedError('truncated', 'ONNX varint');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new MalformedError('bad_value', 'ONNX varint');
  };
  const take = (length: bigint): Uint8Array => {
    if (length > BigInt(message.length - at)) throw new MalformedError('truncated', 'ONNX field');
    const bytes = message.subarray(at, at + Number(length));
    at += bytes.length;
    return bytes;
  };
  while (at < message.length) {
    const key = varint();
    const number = Number(key >> 3n);
    switch (Number(key & 7n)) {
      case 0:
        yield { number, bytes: NOTHING, value: varint() };
        break;
      case 1:
        take(8n);
        break;
      case 2:
        yield { number, bytes: take(varint()), value: 0n };
        break;
      case 5:
        take(4n);
        break;
      default:
        throw new MalformedError('bad_value', 'ONNX wire type');
    }
  }
}
