import type { Bytes, JsonObject } from '@cloister/bytes';
import type { HeadJudge, TrustedManifest, VerifiedPeer } from '@cloister/attestation';
import { createChannel, type Fetch } from '@cloister/channel';
import {
  createHeadFeed,
  createHeadJudge,
  createRecordsClient,
  verifyReceipt,
  verifyService,
  type HeadFeed,
  type ImageType,
  type RecordsClient,
  type RecordsEvent,
  type ResultEvidence,
} from '@cloister/client';
import { NODE_EVIDENCE_CRYPTO, nodeChannelPrimitives } from '@cloister/service';
import { STEPS, StepLog, Stopped, type Step, type StepName } from './steps.ts';

/** Where the parts of a running deployment are, and what it agreed on. */
export interface Line {
  readonly records: string;
  readonly inference: string;
  readonly attestation: string;
  /** The hospital's own key broker, whose heads give time. */
  readonly broker: string;
  readonly manifest: TrustedManifest;
  readonly account: { readonly user: string; readonly password: string };
  readonly transport: Fetch;
  readonly random: (length: number) => Bytes;
}

/** The image to have read. */
export interface DemoImage {
  readonly bytes: Uint8Array;
  readonly type: ImageType;
}

/** What the demo says in the end; one JSON object on stdout. */
export interface Outcome {
  readonly steps: readonly Step[];
  readonly probabilities: Readonly<Record<string, number>> | null;
  readonly finding: 'pneumonia' | 'none' | null;
  readonly reportId: string | null;
  readonly taskStatus: string | null;
  readonly tokenClaims: JsonObject | null;
  readonly receiptVerified: boolean;
  readonly simulated: boolean | null;
  /** Where and why it stopped, if it did. */
  readonly stopped?: { readonly step: StepName; readonly code: string; readonly reason: string };
}

const WAIT_SECONDS = 25;
const GIVE_UP_MS = 120_000;

/** Runs the main job once through the services' HTTP interfaces, as the portal does. */
export async function runLine(
  line: Line,
  image: DemoImage,
  tell: (step: Step) => void,
): Promise<Outcome> {
  const log = new StepLog(tell);
  let peer: VerifiedPeer | undefined;
  try {
    const trust = createTrust(line);
    peer = await log.run('gate', async () => {
      await takeHeads(trust);
      return passGate(line, trust, 'records', 'gate');
    });
    const channel = openChannel(line, peer);
    const records = createRecordsClient(channel);
    await log.run('channel', () => tryChannel(channel));
    const patient = await log.run('patient', () => registerPatient(line, records));
    const stored = await log.run('upload', () =>
      records.uploadImage(patient, image.bytes, image.type),
    );
    const cursor = (await records.events(0, 0)).cursor;
    const task = await records.requestDiagnosis(stored.study, patient);
    await followTask(records, task.id, cursor, log);
    return await gather({ line, trust, records, peer, log }, task.id);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return {
      steps: log.steps,
      probabilities: null,
      finding: null,
      reportId: null,
      taskStatus: error.taskStatus ?? null,
      tokenClaims: peer?.tokenClaims ?? null,
      receiptVerified: false,
      simulated: peer?.simulated ?? null,
      stopped: { step: error.step, code: error.code, reason: error.message },
    };
  }
}

/** What the hospital judges by: its broker's heads, and the time that they give. */
interface Trust {
  readonly feed: HeadFeed;
  readonly judgeHeads: HeadJudge;
  readonly now: () => Date;
}

function createTrust({ manifest, broker, transport }: Line): Trust {
  const brokers = { hospital: broker };
  const feed = createHeadFeed({
    manifest,
    ownParty: 'hospital',
    now: () => new Date(),
    transport,
    brokers,
  });
  return { feed, judgeHeads: createHeadJudge(feed), now: () => feed.keeper.now() };
}

async function takeHeads({ feed }: Trust): Promise<void> {
  const verdict = await feed.refresh();
  if (verdict.ok) return;
  const failed = verdict.checks.find((check) => check.outcome === 'failed');
  const why = `the hospital's key broker does not speak for this agreement: ${failed?.check}`;
  throw new Stopped('gate', verdict.code, why);
}

async function passGate(
  line: Line,
  { judgeHeads, now }: Trust,
  service: string,
  step: StepName,
): Promise<VerifiedPeer> {
  const result = await verifyService({
    baseUrl: service === 'records' ? line.records : line.inference,
    service,
    manifest: line.manifest,
    attestationUrl: line.attestation,
    transport: line.transport,
    now,
    random: line.random,
    requireToken: true,
    crypto: NODE_EVIDENCE_CRYPTO,
    judgeHeads,
  });
  if (result.ok) return result.claims;
  const failed = result.checks.find((check) => check.outcome === 'failed');
  const detail = failed?.detail === undefined ? '' : ` (${failed.detail})`;
  throw new Stopped(step, result.code, `${service} is not trusted: ${failed?.check}${detail}`);
}

function openChannel(line: Line, peer: VerifiedPeer): Fetch {
  return createChannel({
    peer,
    url: `${line.records}/.well-known/ohttp-gateway`,
    transport: line.transport,
    now: () => new Date(),
    random: line.random,
    kems: line.manifest.manifest.services['records']?.config?.kems ?? ['x-wing'],
    primitives: nodeChannelPrimitives(),
  });
}

async function tryChannel(channel: Fetch): Promise<void> {
  const answer = await channel(new Request('https://records/fhir/metadata'));
  if (answer.status !== 200) {
    throw new Stopped('channel', 'unexpected_status', `the channel answers with ${answer.status}`);
  }
}

async function registerPatient(line: Line, records: RecordsClient): Promise<string> {
  await records.signIn(line.account.user, line.account.password);
  const mrn = `DEMO-${[...line.random(4)].map((b) => b.toString(16).padStart(2, '0')).join('')}`;
  const patient = await records.createPatient({
    family: 'Demo',
    given: 'Patient',
    gender: 'unknown',
    birthDate: '2022-01-01',
    mrn,
  });
  return patient.id;
}

/** Takes the steps that `records` reports of a job, until it has ended. */
async function followTask(
  records: RecordsClient,
  id: string,
  from: number,
  log: StepLog,
): Promise<void> {
  const deadline = performance.now() + GIVE_UP_MS;
  const asked = performance.now();
  let cursor = from;
  for (;;) {
    const batch = await records.events(cursor, WAIT_SECONDS);
    cursor = batch.cursor;
    for (const event of batch.events.filter(({ target }) => target === `Task/${id}`)) {
      const step = STEPS.find((name) => name === event.phase);
      if (event.kind === 'phase' && step !== undefined) {
        log.note({ name: step, ok: event.ok ?? true, ms: event.ms ?? 0 });
      } else if (event.kind === 'ready-for-review') {
        log.note({ name: 'notify', ok: true, ms: performance.now() - asked });
        return;
      } else if (event.kind === 'failed' || event.kind === 'rejected') {
        throw await stoppedBy(records, id, event, log);
      }
    }
    if (performance.now() > deadline) {
      throw new Stopped('notify', 'timeout', 'the job did not end within two minutes');
    }
  }
}

async function stoppedBy(
  records: RecordsClient,
  id: string,
  event: RecordsEvent,
  log: StepLog,
): Promise<Stopped> {
  const task = await records.readTask(id);
  const code = task.reason?.code ?? event.code ?? event.kind;
  const step = log.steps.findLast(({ ok }) => !ok)?.name ?? 'infer';
  return new Stopped(step, code, task.reason?.text ?? code, task.status);
}

/** A job that has ended well, and what it went through. */
interface Job {
  readonly line: Line;
  readonly trust: Trust;
  readonly records: RecordsClient;
  readonly peer: VerifiedPeer;
  readonly log: StepLog;
}

/** Reads what stands in the record, and checks the receipt with the key of the provider's enclave. */
async function gather({ line, trust, records, peer, log }: Job, id: string): Promise<Outcome> {
  const task = await records.readTask(id);
  const report = await records.readReport(task.report ?? '');
  const finding = await records.readFinding(report.observations[0] ?? '');
  const evidence = await records.evidenceOf(report.id);
  return {
    steps: log.steps,
    probabilities: evidence?.probabilities ?? null,
    finding: finding.score >= finding.threshold ? 'pneumonia' : 'none',
    reportId: report.id,
    taskStatus: task.status,
    tokenClaims: peer.tokenClaims ?? null,
    receiptVerified: evidence !== undefined && (await isReceiptGood(line, trust, evidence)),
    simulated: peer.simulated,
  };
}

async function isReceiptGood(line: Line, trust: Trust, evidence: ResultEvidence): Promise<boolean> {
  const { receipt, facts } = evidence;
  if (receipt === undefined) return false;
  const provider = await passGate(line, trust, 'inference', 'notify');
  const fact = (name: string) => String(facts[name] ?? '');
  const result = await verifyReceipt(receipt, {
    sig: provider.sig,
    model: fact('model'),
    modelDigest: fact('modelDigest'),
    inputDigest: fact('inputDigest'),
    outputDigest: fact('outputDigest'),
    requestId: fact('requestId'),
    manifest: line.manifest.id,
    simulated: provider.simulated,
    evidenceDigest: fact('evidenceDigest'),
    at: trust.now(),
  });
  return result.ok;
}
