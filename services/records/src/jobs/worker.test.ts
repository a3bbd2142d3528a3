import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { TrustedManifest } from '@cloister/attestation';
import {
  type Client,
  idOf,
  newFolder,
  patient,
  png,
  random,
  type Running,
  signIn,
  startOn,
  textOf,
} from '../../tools/test-records.ts';
import { memoryServer } from '../../tools/test-replicas.ts';
import { LEASE_MS } from './job-lease.ts';
import type { Providers } from './provider.ts';
import { createJobWorker, type JobWorker } from './worker.ts';

const models = { model: { '1': { digest: 'd'.repeat(64), contract: 'c'.repeat(64) } } };
const manifest = { id: 'a'.repeat(64), manifest: { models } } as unknown as TrustedManifest;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await done())) {
    assert.ok(performance.now() < deadline, 'it did not happen');
    await sleep(10);
  }
}

describe('the workers of two replicas', () => {
  let replicas: [Running, Running];
  let call: Client;
  let study: string;
  let who: string;
  /** Who asked a provider, in order. */
  let asked: string[];
  /** What an asked provider waits for. */
  let answer: Promise<void>;
  const workers: JobWorker[] = [];

  beforeEach(async () => {
    const server = memoryServer();
    const folder = newFolder();
    replicas = [
      await startOn(server.connect(), folder, true),
      await startOn(server.connect(), folder, true),
    ];
    call = await signIn(replicas[0]);
    who = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-1') }));
    const stored = await call('POST', `/images?patient=${who}`, {
      body: png(10, 10),
      headers: { 'content-type': 'image/png' },
    });
    study = textOf(stored.json['imagingStudy']);
    asked = [];
    answer = Promise.resolve();
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.close()));
    for (const replica of replicas) await replica.close();
  });

  /** A worker whose provider nobody trusts: the job ends there, rejected. */
  function work(at: 0 | 1, verify?: Providers['verify']): JobWorker {
    const { ledger, vault, device, log, now } = replicas[at].deps;
    const worker = createJobWorker({
      ledger,
      vault,
      device,
      log,
      now,
      random,
      agreement: {
        current: () => ({ trust: manifest }),
        ids: () => [manifest.id],
      },
      replica: `replica-${at}`,
      shared: true,
      reviewers: ['Practitioner/r'],
      providers: {
        urls: ['http://provider'],
        verify:
          verify ??
          (async () => {
            asked.push(`replica-${at}`);
            await answer;
            return { ok: false, code: 'quote.signature', checks: [] };
          }),
        open: () => assert.fail('nobody was trusted'),
      },
    });
    workers.push(worker);
    return worker;
  }
  async function order(): Promise<string> {
    const code = { coding: [{ system: 'urn:cloister:task', code: 'ai-inference' }] };
    const task = { resourceType: 'Task', status: 'requested', intent: 'order', code };
    const [focus, patientRef] = [{ reference: study }, { reference: `Patient/${who}` }];
    return idOf(await call('POST', '/fhir/Task', { body: { ...task, focus, for: patientRef } }));
  }
  const status = async (id: string) => (await call('GET', `/fhir/Task/${id}`)).json['status'];
  const allLater = (ms: number): void => {
    for (const replica of replicas) replica.at = new Date(replica.at.getTime() + ms);
  };

  it('do each job once, though both are asked at the same time', async () => {
    const [one, two] = [work(0), work(1)];
    const tasks = [];
    for (let i = 0; i < 6; i++) tasks.push(await order());
    await replicas[1].deps.ledger.refresh();
    for (const task of tasks) {
      one.add(task);
      two.add(task);
    }
    for (const task of tasks) await until(async () => (await status(task)) === 'rejected');
    assert.equal(asked.length, 6);
  });

  it('leave a job to who takes it up first, and take one that nobody takes', async () => {
    await work(1).start();
    const task = await order();
    await sleep(1500);
    assert.equal(await status(task), 'requested');
    allLater(4000);
    await until(async () => (await status(task)) === 'rejected');
    assert.deepEqual(asked, ['replica-1']);
  });

  it('take over what a replica that died had begun, and not before its lease has ended', async () => {
    const { promise, resolve: revive } = Promise.withResolvers<void>();
    answer = promise;
    const dying = work(0);
    await work(1).start();
    const task = await order();
    dying.add(task);
    await until(() => asked.length === 1);
    // It stands still: its lease is not renewed, and its clock does not matter.
    allLater(LEASE_MS - 2000);
    await sleep(1500);
    assert.equal(asked.length, 1);
    answer = Promise.resolve();
    allLater(4000);
    await until(async () => (await status(task)) === 'rejected');
    assert.deepEqual(asked, ['replica-0', 'replica-1']);
    // The first one wakes up, and may not write any more.
    const version = replicas[0].deps.ledger.directory.versionOf('Task', task);
    revive();
    await dying.close();
    assert.equal(replicas[0].deps.ledger.directory.versionOf('Task', task), version);
    assert.ok(replicas[0].lines.some((line) => line.includes('job_left')));
  });

  it('tell of a result that its replica could not tell of', async () => {
    await work(1).start();
    const { ledger } = replicas[0].deps;
    const task = await order();
    const content = { ...(await ledger.read('Task', task)), status: 'completed' };
    await ledger.commit([{ type: 'Task', id: task, patient: who, content }]);
    await sleep(1200);
    assert.equal(ledger.directory.cursor, 0);
    allLater(4000);
    await until(() => ledger.directory.cursor === 1);
    await sleep(1200);
    assert.equal(ledger.directory.cursor, 1, 'once');
  });
});
