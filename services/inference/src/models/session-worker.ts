import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type {
  FromWorker,
  ModelMetadata,
  OutputTensor,
  TensorMetadata,
  ToWorker,
} from './worker-messages.ts';

// The thread in which ONNX sessions run: `session.run` blocks its thread until it is done.
const sessions = new Map<number, InferenceSession>();

/** No arena and no memory pattern: both keep tensors that were freed, and so patients' pixels. */
const OPTIONS: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4,
};

async function load(message: Extract<ToWorker, { kind: 'load' }>): Promise<void> {
  const models: ModelMetadata[] = [];
  for (const { id, bytes } of message.models) {
    // oxlint-disable-next-line no-await-in-loop -- one model in memory at a time
    const session = await createSession(bytes);
    if (session === undefined) continue;
    sessions.set(id, session);
    models.push({
      id,
      inputs: session.inputMetadata.map(describe),
      outputs: session.outputMetadata.map(describe),
    });
  }
  send({ kind: 'loaded', models });
}

/** Undefined where the runtime refuses the model: it is then missing from the answer. */
async function createSession(bytes: Uint8Array): Promise<InferenceSession | undefined> {
  try {
    return await InferenceSession.create(bytes, OPTIONS);
  } catch {
    return undefined;
  } finally {
    bytes.fill(0);
  }
}

async function run(message: Extract<ToWorker, { kind: 'run' }>): Promise<void> {
  const { job, data, input, outputs } = message;
  const session = sessions.get(message.model);
  if (session === undefined) return send({ kind: 'failed', job });
  try {
    const tensor = new Tensor('float32', data, input.shape);
    const answer = await session.run({ [input.name]: tensor }, [...outputs]);
    const tensors = outputs.map((name): OutputTensor => {
      const output = answer[name];
      if (!(output?.data instanceof Float32Array)) throw new TypeError('output is not float32');
      const copy = Float32Array.from(output.data);
      output.data.fill(0);
      return { name, shape: output.dims, data: copy };
    });
    send(
      { kind: 'done', job, outputs: tensors },
      tensors.map((output) => output.data.buffer),
    );
  } catch {
    // The message of the runtime may quote values: the pool makes an error of its own.
    send({ kind: 'failed', job });
  } finally {
    data.fill(0);
  }
}

function describe(value: InferenceSession.ValueMetadata): TensorMetadata {
  if (!value.isTensor) return { name: value.name, type: 'other', shape: [] };
  const shape = value.shape.map((size) => (typeof size === 'number' ? size : -1));
  return { name: value.name, type: value.type, shape };
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

parentPort?.on('message', (message: ToWorker) => {
  const work = message.kind === 'load' ? load(message) : run(message);
  work.catch(() => send({ kind: 'failed', job: message.kind === 'run' ? message.job : undefined }));
});
