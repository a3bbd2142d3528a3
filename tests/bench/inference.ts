import { InferenceSession, Tensor } from 'onnxruntime-node';
import { createInferenceClient } from '@cloister/client';
import { createScene, modelFile, NAME, VERSION } from '../../services/inference/src/scene.test.ts';
import type { Report } from './figure.ts';

const SHAPE = [1, 1, 224, 224];
const ROUNDS = 60;
const WARM_UP = 10;

/**
 * One inference through the channel (encapsulation, caller authentication, worker thread, receipt)
 * against onnxruntime-node called directly with the same options: medians, the two taking turns, so
 * that a busy machine slows both.
 */
export async function run(report: Report): Promise<void> {
  const scene = await createScene({ workers: 1 });
  const client = createInferenceClient(await scene.connect());
  const session = await InferenceSession.create(modelFile(), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    enableMemPattern: false,
  });
  const tensor = Float32Array.from({ length: 224 * 224 }, (_, i) => (i * 7) % 251);
  const direct: number[] = [];
  const channel: number[] = [];
  try {
    for (let turn = 0; turn < WARM_UP + ROUNDS; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- turns are the point
      const bare = await timed(() =>
        session.run({ image: new Tensor('float32', tensor, SHAPE) }, ['probabilities', 'cam']),
      );
      // oxlint-disable-next-line no-await-in-loop -- see above
      const sealed = await timed(() =>
        client.infer({
          model: NAME,
          version: VERSION,
          tensor,
          shape: SHAPE,
          requestId: `bench-${turn}`,
        }),
      );
      if (turn < WARM_UP) continue;
      direct.push(bare);
      channel.push(sealed);
    }
  } finally {
    await session.release();
    await scene.close();
  }
  const against = 'onnxruntime-node called directly';
  const bare = median(direct);
  const sealed = median(channel);
  report({ name: 'direct', value: round(bare), unit: 'ms' });
  report({
    name: 'through the channel',
    value: round(sealed),
    unit: 'ms',
    ratio: round(sealed / bare),
    against,
  });
  report({ name: 'added by channel, proof and receipt', value: round(sealed - bare), unit: 'ms' });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
