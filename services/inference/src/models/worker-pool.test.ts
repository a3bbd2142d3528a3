import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openStore } from '../scene.test.ts';
import { createWorkerPool, type Run } from './worker-pool.ts';

const makeRun = (): Run => ({
  model: 0,
  input: { name: 'image', shape: [1, 1, 224, 224] },
  data: Float32Array.from({ length: 224 * 224 }, (_, i) => i % 255),
  outputs: ['probabilities'],
});

describe('createWorkerPool', () => {
  it('takes the input away, gives the outputs, and does not block the event loop', async () => {
    const { models } = await openStore();
    const pool = await createWorkerPool({ models, size: 1, onLost: () => assert.fail('lost') });
    try {
      const run = makeRun();
      const done = pool.infer(run);
      assert.equal(run.data.length, 0);
      const [output] = await done;
      assert.deepEqual(output?.shape, [1, 3]);
      const [first] = await pool.infer(makeRun());
      assert.deepEqual(first?.data, output?.data);
    } finally {
      await pool.close();
    }
  });

  it('fails the run that the runtime refuses, and goes on', async () => {
    const { models } = await openStore();
    const pool = await createWorkerPool({ models, size: 1, onLost: () => assert.fail('lost') });
    try {
      const bad = { ...makeRun(), outputs: ['nothing'] };
      await assert.rejects(pool.infer(bad), { code: 'internal' });
      assert.equal((await pool.infer(makeRun())).length, 1);
    } finally {
      await pool.close();
    }
  });

  it('replaces a thread that ended; its run is told, runs after it succeed', async () => {
    const { models } = await openStore();
    let lost = 0;
    const workers: Worker[] = [];
    const createWorker = (): Worker => {
      const worker = new Worker(new URL('./session-worker.ts', import.meta.url));
      workers.push(worker);
      return worker;
    };
    const pool = await createWorkerPool({ models, size: 1, onLost: () => lost++, createWorker });
    try {
      const run = pool.infer(makeRun());
      void workers[0]?.terminate();
      await assert.rejects(run, { code: 'worker_lost' });
      assert.equal(lost, 1);
      await assert.rejects(pool.infer(makeRun()), { code: 'overloaded' });
      for (let i = 0; i < 100 && pool.alive() === 0; i++) await delay(50);
      assert.equal((await pool.infer(makeRun())).length, 1);
    } finally {
      await pool.close();
    }
  });

  it('says when it is asked for too much', async () => {
    const { models } = await openStore();
    const pool = await createWorkerPool({ models, size: 1, onLost: () => assert.fail('lost') });
    const runs = Array.from({ length: 300 }, () => pool.infer(makeRun()).catch((e: unknown) => e));
    await pool.close();
    const outcomes = await Promise.all(runs);
    assert.ok(
      outcomes.some((one) => one instanceof Error && 'code' in one && one.code === 'overloaded'),
    );
  });
});
