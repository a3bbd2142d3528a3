import type { Bytes, JsonObject } from '@cloister/bytes';
import type { HeadJudge, TrustedManifest, VerifiedPeer } from '@cloister/attestation';
import { createChannel, type Fetch } from '@cloister/channel';
import {
  createHeadFeed,
  createHeadJudge,
  createRecordsClient,
  fetchEvidence,
  verifyReceipt,
  verifyService,
  type HeadFeed,
  type ImageType,
  type RecordsClient,
  type RecordsEvent,
  type ResultEvidence,
} from '@cloister/client';
import { NODE_EVIDENCE_CRYPTO, nodeChannelPrimitives } from '@cloister/service';
import { StartError } from '../local/supervisor.ts';
import { knock, type GateAddress } from './knock.ts';
import type { CheatingHost } from './cheating-host.ts';
import { explainCode, readComplaint } from './explain.ts';
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
  /** The gate before Redis, where there is one. */
  readonly cache?: GateAddress | undefined;
  readonly transport: Fetch;
  /** The host of the platform, which may cheat. */
  readonly host: CheatingHost;
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
    await takeHeads(trust);
    await line.host.beforeGate();
    peer = await log.run('gate', async () => {
      await takeHeads(trust);
      return passGate(line, trust, 'records', 'gate');
    });
    const channel = openChannel(line, peer);
    const records = createRecordsClient(channel);
    await log.run('channel', () => tryChannel(channel));
    const patient = await log.run('patient', () => registerPatient(line, records));
    const { cache } = line;
    if (cache !== undefined) await log.run('cache', () => tryCache(line, trust, cache));
    const stored = await log.run('upload', async () => {
      await startAgain(() => line.host.afterPatient());
      return records.uploadImage(patient, image.bytes, image.type);
    });
    const cursor = (await records.events(0, 0)).cursor;
    const task = await records.requestDiagnosis(stored.study, patient);
    const { replay } = line.host;
    if (replay !== undefined) {
      await log.run('channel', async () => {
        await replay();
        await expectOnce(records, patient);
      });
    }
    await followTask(records, task.id, cursor, log);
    return await gather({ line, trust, records, peer, log }, task.id);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return stoppedOutcome(error, log, peer);
  }
}

/** The outcome of a platform of which a part refused to start. */
export function refusedToStart(error: StartError, tell: (step: Step) => void): Outcome {
  const log = new StepLog(tell);
  log.note({ name: 'gate', ok: false, ms: 0 });
  const { code, reason } = readComplaint(error.complaint);
  return stoppedOutcome(new Stopped('gate', code, reason), log, undefined);
}

function stoppedOutcome(error: Stopped, log: StepLog, peer: VerifiedPeer | undefined): Outcome {
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

/** Looks at the gate before Redis: what it is, that `records` uses it, and that nobody else comes in. */
async function tryCache(line: Line, { now }: Trust, cache: GateAddress): Promise<void> {
  const verdict = await verifyService({
    baseUrl: cache.url,
    service: 'cache',
    manifest: line.manifest,
    attestationUrl: line.attestation,
    requireToken: true,
    transport: line.transport,
    now,
    random: line.random,
  });
  if (!verdict.ok) throw new Stopped('cache', verdict.code, 'the cache gate is not trusted');
  const answer = await line.transport(new Request(`${line.records}/health/ready`));
  if (!/"cache":true/.test(await answer.text()))
    throw new Stopped('cache', 'cache_unused', 'records does not reach the cache gate');
  const token = line.host.stealsToken
    ? (await fetchEvidence(line.records, line.random(32), line.transport)).tokens[0]
    : undefined;
  const said = await knock(cache.port, verdict.claims, token);
  const refused = said.startsWith('-');
  if (token === undefined) {
    if (!refused)
      throw new Stopped('cache', 'cache_open', 'the cache gate lets in who shows no token');
    return;
  }
  if (!refused) return;
  const why =
    'the token of records was shown by somebody else: a token alone opens nothing, the connection must be by the key that it names';
  throw new Stopped('cache', /^-(\w+)/.exec(said)?.[1] ?? 'refused', `${why} (${said.trim()})`);
}

/** Where a service refuses to start after its host did something, that ends the line. */
async function startAgain(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const { code, reason } = readComplaint(error.complaint);
    throw new Stopped('upload', code, reason);
  }
}

/** Ends the line where a message that came twice was done once, as it should be. */
async function expectOnce(records: RecordsClient, patient: string): Promise<void> {
  const orders = await records.search('Task', { patient });
  if (orders.length !== 1) return;
  const why = 'a recorded message was sent once more: it was refused, and the order exists once';
  throw new Stopped('channel', 'replayed', why);
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
  const words = explainCode(result.code);
  const why = words === '' ? `${failed?.check}${detail}` : words;
  throw new Stopped(step, result.code, `${service} is not trusted: ${why}`);
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
