import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { TrustedManifest, Verification, VerifiedPeer } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import {
  ClientError,
  type InferAnswer,
  type InferenceClient,
  type InferRequest,
} from '@cloister/client';
import { validateFhir } from '@cloister/clinical';
import { signJws } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import {
  type Client,
  entries,
  idOf,
  patient,
  png,
  random,
  type Running,
  signIn,
  start,
  textOf,
} from '../../tools/test-records.ts';
import { runDiagnosis, type JobDeps } from './diagnosis.ts';
import { createJobWorker } from './worker.ts';

const MODEL = 'cxr-pneumonia-cam';
const DIGEST = 'd'.repeat(64);
const CONTRACT = sharedMissing
  ? '{}'
  : readFileSync(shared(`models/${MODEL}/contract.json`), 'utf8');
const sha256 = (text: string | Uint8Array) => createHash('sha256').update(text).digest('hex');
const manifest = {
  id: 'a'.repeat(64),
  manifest: { models: { [MODEL]: { '1': { digest: DIGEST, contract: sha256(CONTRACT) } } } },
} as unknown as TrustedManifest;
const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
  'sign',
  'verify',
]);
const other = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
  'sign',
  'verify',
]);
const sig = await crypto.subtle.exportKey('jwk', keys.publicKey);
const peer = {
  service: 'inference',
  manifestId: manifest.id,
  simulated: true,
  tee: 'sgx',
  sig,
  models: [{ name: MODEL, version: '1', digest: DIGEST }],
  evidenceDigest: 'e'.repeat(64),
  claims: { tee: 'sgx', mrenclave: 'b'.repeat(64) },
} as unknown as VerifiedPeer;
const ok: Verification<VerifiedPeer> = { ok: true, claims: peer, checks: [] };
const no = (code: string): Verification<VerifiedPeer> => ({ ok: false, code, checks: [] });

/** A provider as the client library shows it; what it does can be changed per test. */
interface Behaviour {
  verdict: (url: string) => Verification<VerifiedPeer>;
  probabilities: number[];
  contract: string;
  facts: JsonObject;
  fail: Error | undefined;
  cam: number;
  signer: CryptoKey;
  /** The manifest before, while it is bridged. */
  bridged: readonly string[];
}

const alone = { replica: 'one', shared: false };
const reason = (task: JsonObject) => ({
  status: task['status'],
  code: ((task['statusReason'] as JsonObject)['coding'] as JsonObject[])[0]?.['code'],
});

describe('a diagnosis', { skip: sharedMissing }, () => {
  let running: Running;
  let call: Client;
  let deps: JobDeps;
  let behaviour: Behaviour;
  let asked: InferRequest[];
  let study: string;
  let who: string;

  beforeEach(async () => {
    running = await start();
    call = await signIn(running);
    asked = [];
    behaviour = {
      verdict: () => ok,
      probabilities: [0.1, 0.7, 0.2],
      contract: CONTRACT,
      facts: {},
      fail: undefined,
      cam: 1,
      signer: keys.privateKey,
      bridged: [],
    };
    const { ledger, now, device, vault, log } = running.deps;
    deps = {
      ledger,
      random,
      now,
      device,
      vault,
      log,
      agreement: {
        current: () => ({ trust: manifest }),
        ids: () => [manifest.id, ...behaviour.bridged],
      },
      reviewers: ['Practitioner/r1'],
      providers: {
        urls: ['http://one', 'http://two'],
        verify: (url) => Promise.resolve(behaviour.verdict(url)),
        open: () => fakeClient(),
      },
    };
    who = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-1') }));
    const stored = await call('POST', `/images?patient=${who}`, {
      body: png(100, 100),
      headers: { 'content-type': 'image/png' },
    });
    study = textOf(stored.json['imagingStudy']);
  });
  afterEach(() => running.close());

  async function restart(): Promise<void> {
    await running.close();
    running = await start(running.folder);
    call = await signIn(running);
  }

  /** Starts a worker on what runs now, and ends it when all is done. */
  async function work(): Promise<void> {
    const { ledger, vault, device, log } = running.deps;
    const worker = createJobWorker({ ...deps, ...alone, ledger, vault, device, log });
    await worker.start();
    while (worker.open() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await worker.close();
  }

  function fakeClient(): InferenceClient {
    return {
      metadata: () => Promise.resolve({}),
      ready: () => Promise.resolve(true),
      contract: () => Promise.resolve(behaviour.contract),
      infer: async (request): Promise<InferAnswer> => {
        asked.push(request);
        if (behaviour.fail) throw behaviour.fail;
        const cam = Float32Array.from({ length: 588 }, (_, i) => behaviour.cam * ((i % 14) - 5));
        const probabilities = Float32Array.from(behaviour.probabilities);
        const inputDigest = sha256(new Uint8Array(request.tensor.buffer));
        const outputDigest = sha256(new Uint8Array(cam.buffer));
        const payload = JSON.stringify({
          model: MODEL,
          modelDigest: DIGEST,
          inputDigest,
          outputDigest,
          requestId: request.requestId,
          manifest: manifest.id,
          evidenceDigest: peer.evidenceDigest,
          simulated: true,
          iat: Math.floor(running.at.getTime() / 1000),
          ...behaviour.facts,
        });
        const header = { typ: 'cloister-receipt+jwt' };
        const receipt = await signJws({ alg: 'ES256', key: behaviour.signer, header, payload });
        const outputs = {
          probabilities: { shape: [1, 3], data: probabilities },
          cam: { shape: [1, 3, 14, 14], data: cam },
        };
        return { outputs, receipt, inputDigest, outputDigest };
      },
    };
  }

  async function order(): Promise<string> {
    const made = await call('POST', '/fhir/Task', {
      body: {
        resourceType: 'Task',
        status: 'requested',
        intent: 'order',
        code: { coding: [{ system: 'urn:cloister:task', code: 'ai-inference' }] },
        focus: { reference: study },
        for: { reference: `Patient/${who}` },
      },
    });
    return idOf(made);
  }
  const done = async () => {
    const id = await order();
    await runDiagnosis(deps, id);
    return (await call('GET', `/fhir/Task/${id}`)).json;
  };
  const count = async (type: string) =>
    entries(await call('GET', `/fhir/${type}?patient=${who}`)).length;
  const events = async () => {
    const text = Buffer.from((await call('GET', '/events?cursor=0')).bytes).toString();
    return [...text.matchAll(/^data: (.*)$/gm)].map((m) => JSON.parse(m[1] ?? '') as JsonObject);
  };

  it('ends with a preliminary report, its evidence, and a notice', async () => {
    const task = await done();
    assert.equal(task['status'], 'completed');
    assert.deepEqual(validateFhir(task), []);
    const [output] = task['output'] as { valueReference: { reference: string } }[];
    const report = (await call('GET', `/fhir/${output?.valueReference.reference}`)).json;
    assert.deepEqual(validateFhir(report), []);
    assert.equal(report['status'], 'preliminary');
    assert.match(textOf(report['conclusion']), /^AI-generated, not reviewed: possible pneumonia/);
    assert.equal(/bacterial|viral/.test(JSON.stringify(report)), false);
    const [result] = report['result'] as { reference: string }[];
    const observation = (await call('GET', `/fhir/${result?.reference}`)).json;
    assert.deepEqual(validateFhir(observation), []);
    assert.equal(observation['status'], 'preliminary');
    assert.equal(/bacterial|viral/.test(JSON.stringify(observation)), false);
    assert.ok(JSON.stringify(observation).includes('233604007'));
    const [provenance] = entries(
      await call('GET', `/fhir/Provenance?target=DiagnosticReport/${textOf(report['id'])}`),
    );
    assert.ok(provenance);
    assert.deepEqual(validateFhir(provenance), []);
    for (const fact of [DIGEST, peer.evidenceDigest, 'b'.repeat(64), manifest.id])
      assert.ok(JSON.stringify(provenance).includes(fact));
    const device = (
      await call('GET', `/fhir/${textOf((observation['device'] as JsonObject)['reference'])}`)
    ).json;
    assert.deepEqual(validateFhir(device), []);
    const [communication] = entries(await call('GET', `/fhir/Communication?patient=${who}`));
    assert.ok(communication);
    assert.deepEqual(validateFhir(communication), []);
    const heat = await call(
      'GET',
      `/images/${study.split('/')[1]}/heatmap?observation=${textOf(observation['id'])}`,
    );
    assert.equal(heat.json['width'], 14);
    const values = heat.json['values'] as number[];
    assert.equal(values.length, 196);
    assert.equal(Math.max(...values), 1);
    assert.ok(Math.min(...values) >= 0);
  });

  it('reports each phase, and then that the result is there', async () => {
    await done();
    const told = await events();
    assert.deepEqual(
      told.map((e) => e['phase'] ?? e['k']),
      ['verify-provider', 'prove-caller', 'infer', 'record', 'ready-for-review'],
    );
    assert.ok(told.every((e) => e['k'] !== 'phase' || e['ok'] === true));
    assert.equal(JSON.stringify(told).includes('MRN'), false);
  });

  it('records whom it disclosed what to before it does', async () => {
    await done();
    const audits = entries(await call('GET', `/fhir/AuditEvent?patient=${who}&type=110106`));
    assert.equal(audits.length, 1);
    assert.deepEqual(validateFhir(audits[0] ?? {}), []);
    const checks = entries(await call('GET', '/fhir/AuditEvent?type=110100'));
    assert.equal(checks.length, 1);
    assert.deepEqual(validateFhir(checks[0] ?? {}), []);
  });

  it('sends pixels of the agreed shape and nothing that names anybody', async () => {
    await done();
    assert.equal(asked.length, 1);
    const { tensor, shape, ...rest } = asked[0] ?? assert.fail();
    assert.deepEqual(shape, [1, 1, 224, 224]);
    assert.equal(tensor.length, 224 * 224);
    for (const id of [who, study.split('/')[1] ?? '', 'Zhang', 'MRN'])
      assert.equal(JSON.stringify(rest).includes(id), false);
  });

  it('has no finding below the threshold, which is not "normal"', async () => {
    behaviour.probabilities = [0.9, 0.06, 0.04];
    const task = await done();
    assert.equal(task['status'], 'completed');
    const [observation] = entries(await call('GET', `/fhir/Observation?patient=${who}`));
    assert.equal(observation?.['valueCodeableConcept'], undefined);
    assert.deepEqual(validateFhir(observation ?? {}), []);
    const [report] = entries(await call('GET', `/fhir/DiagnosticReport?patient=${who}`));
    assert.match(textOf(report?.['conclusion']), /no finding above threshold/);
    assert.equal(report?.['conclusionCode'], undefined);
    const id = textOf(observation?.['id']);
    assert.equal(
      (await call('GET', `/images/${study.split('/')[1]}/heatmap?observation=${id}`)).status,
      404,
    );
  });

  const before: [string, string, string, () => void][] = [
    [
      'evidence that is refused',
      'rejected',
      'peer-not-trusted',
      () => (behaviour.verdict = () => no('quote.signature')),
    ],
    [
      'a model that is not the agreed one',
      'rejected',
      'peer-not-trusted',
      () =>
        (behaviour.verdict = () => ({
          ...ok,
          claims: { ...peer, models: [{ name: MODEL, version: '1', digest: 'f'.repeat(64) }] },
        })),
    ],
    [
      'a contract that is not the agreed one',
      'rejected',
      'peer-not-trusted',
      () => (behaviour.contract = `${CONTRACT} `),
    ],
    [
      'no answer from anybody',
      'failed',
      'provider-unavailable',
      () => (behaviour.verdict = () => no('evidence_unavailable')),
    ],
  ];
  for (const [what, status, code, set] of before)
    it(`sends nothing: ${what}`, async () => {
      set();
      const task = await done();
      assert.deepEqual(reason(task), { status, code });
      assert.deepEqual(validateFhir(task), []);
      assert.equal(asked.length, 0);
      assert.equal(await count('Observation'), 0);
      const last = (await events()).at(-1);
      assert.equal(last?.['k'], status);
      assert.equal(last?.['code'], code);
      assert.equal(await count('Communication'), 1);
      assert.equal(entries(await call('GET', '/fhir/AuditEvent?type=110106')).length, 0);
    });

  it('sends nothing: an image that the contract does not take', async () => {
    const small = await call('POST', `/images?patient=${who}`, {
      body: png(32, 32),
      headers: { 'content-type': 'image/png' },
    });
    study = textOf(small.json['imagingStudy']);
    assert.deepEqual(reason(await done()), { status: 'failed', code: 'input-refused' });
    assert.equal(asked.length, 0);
  });

  it('goes to another provider when one does not answer, or is not trusted', async () => {
    for (const code of ['evidence_unavailable', 'quote.signature'])
      for (const bad of ['http://one', 'http://two']) {
        behaviour.verdict = (url) => (url === bad ? no(code) : ok);
        assert.equal((await done())['status'], 'completed');
      }
  });

  const zeros = '0'.repeat(64);
  const facts: [string, JsonObject][] = [
    ['for another output', { outputDigest: zeros }],
    ['for another input', { inputDigest: zeros }],
    ['of another model', { modelDigest: zeros }],
    ['for another request', { requestId: 'x' }],
    ['under another manifest', { manifest: zeros }],
    ['of other evidence', { evidenceDigest: zeros }],
    ['that claims hardware', { simulated: false }],
    ['that is old', { iat: 1 }],
  ];
  const after: [string, string, () => void][] = [
    ...facts.map(([what, changed]): [string, string, () => void] => [
      `a receipt ${what}`,
      'receipt-invalid',
      () => (behaviour.facts = changed),
    ]),
    ['a receipt of another key', 'receipt-invalid', () => (behaviour.signer = other.privateKey)],
    [
      'probabilities that are none',
      'answer-invalid',
      () => (behaviour.probabilities = [0.5, 0.9, 0.9]),
    ],
    ['outputs that are no numbers', 'answer-invalid', () => (behaviour.cam = Number.NaN)],
    [
      'a provider that stops',
      'provider-unavailable',
      () => (behaviour.fail = new ClientError('unavailable', 'infer')),
    ],
    [
      'a provider that refuses the input',
      'input-refused',
      () => (behaviour.fail = new ClientError('invalid', 'infer', { status: 422 })),
    ],
    [
      'a provider that does not admit us',
      'caller-not-admitted',
      () => (behaviour.fail = new ClientError('unauthorized', 'infer', { status: 401 })),
    ],
  ];
  for (const [what, code, set] of after)
    it(`stores no result: ${what}`, async () => {
      set();
      const task = await done();
      assert.deepEqual(reason(task), { status: 'failed', code });
      assert.equal(asked.length, 1);
      for (const type of ['Observation', 'DiagnosticReport']) assert.equal(await count(type), 0);
      assert.equal(entries(await call('GET', '/fhir/Provenance')).length, 0);
    });

  it('takes a receipt of the manifest before while that is bridged', async () => {
    const earlier = 'c'.repeat(64);
    behaviour.facts = { manifest: earlier };
    behaviour.bridged = [earlier];
    const task = await done();
    assert.equal(task['status'], 'completed');
  });

  it('is taken up again after a restart', async () => {
    const id = await order();
    await restart();
    await work();
    assert.equal((await call('GET', `/fhir/Task/${id}`)).json['status'], 'completed');
  });

  it('is told of after a restart, where the service ended before it told', async () => {
    const id = await order();
    const { ledger } = running.deps;
    const commit = ledger.commit.bind(ledger);
    // Everything that is written after the result itself is lost.
    ledger.commit = (written, options) =>
      written.some(({ content }) => content['k'] === 'ready-for-review')
        ? new Promise(() => undefined)
        : commit(written, options);
    void runDiagnosis(deps, id);
    while ((await ledger.read('Task', id))?.['status'] !== 'completed')
      await new Promise((resolve) => setTimeout(resolve, 5));
    await restart();
    for (let restarts = 0; restarts < 2; restarts++) await work();
    assert.equal((await events()).filter((e) => e['k'] === 'ready-for-review').length, 1);
  });

  it('wakes a reader that waits', async () => {
    const waiting = call('GET', '/events?cursor=0&wait=25');
    await done();
    const text = Buffer.from((await waiting).bytes).toString();
    assert.match(text, /^id: 1\nevent: resource\ndata: \{"t":"Task\//);
  });
});
