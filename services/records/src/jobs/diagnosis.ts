import { isJsonObject, type JsonObject, MalformedError } from '@cloister/bytes';
import {
  decodePixels,
  ImagingError,
  type ModelContract,
  parseDicom,
  prepareInput,
} from '@cloister/clinical';
import { TamperedError } from '@cloister/sealing';
import {
  errorCode,
  errorPlace,
  type Log,
  opaqueId,
  routeTemplate,
  type SafeText,
  StoreError,
} from '@cloister/service';
import type { RecordsEvents } from '../events.ts';
import { attestationAudit, type AuditContext, disclosureAudit } from '../fhir/audit-event.ts';
import { idIn } from '../fhir/task-rules.ts';
import { openImage } from '../images/stored-image.ts';
import { newId } from '../new-id.ts';
import { RefusedError } from '../refused-error.ts';
import { auditEntry, type Core } from '../routes/context.ts';
import { HEAT_MAP_TYPE } from '../routes/images.ts';
import { EVENT } from '../store/directory.ts';
import type { ImageVault } from '../store/image-vault.ts';
import type { NewEntry } from '../store/sealed-group.ts';
import type { JobAgreement } from './job-agreement.ts';
import { LeaseLostError } from './job-lease.ts';
import { JOB_REASONS, JobStopped } from './job-stopped.ts';
import { askModel } from './model-answer.ts';
import {
  type AgreedModel,
  agreedModel,
  fetchContract,
  type Finding,
  findProvider,
  measurementOf,
  type Providers,
  type TrustedProvider,
} from './provider.ts';
import {
  findingObservation,
  MODEL_SYSTEM,
  modelDevice,
  modelIdentifier,
  notice,
  preliminaryReport,
  resultProvenance,
  type ResultSource,
} from './results.ts';

/** What a job works with. */
export interface JobDeps extends Core {
  readonly agreement: JobAgreement;
  readonly vault: ImageVault;
  readonly providers: Providers;
  /** `Practitioner/<id>` of those who are told. */
  readonly reviewers: readonly string[];
  readonly log: Log<RecordsEvents>;
  readonly onTampered?: () => void;
}

/** The phases that are reported, in their order. */
type Phase = 'verify-provider' | 'prove-caller' | 'infer' | 'record';
const OPEN = new Set(['requested', 'accepted', 'in-progress']);

/**
 * Does what a Task asks (design 1, steps 5 to 7): verifies a provider, proves who calls, sends the
 * pixels, verifies the receipt, records the result. Every phase is an event; what stops it stands
 * in the Task. Throws StoreError where not even that could be written, LeaseLostError where another
 * replica does the job by now: the Task stays open then.
 */
export async function runDiagnosis(deps: JobDeps, task: string): Promise<void> {
  const content = await deps.ledger.read('Task', task);
  const status = content?.['status'];
  if (content === undefined || typeof status !== 'string' || !OPEN.has(status)) return;
  const job = new Diagnosis(deps, content);
  try {
    await job.run();
    deps.log('job_ended', { task: opaqueId(task), status: routeTemplate('completed') });
  } catch (error) {
    if (endsHere(error)) throw error;
    const stopped = stopOf(error, deps);
    await job.stop(stopped);
    const { status: ended } = JOB_REASONS[stopped.code];
    const code = routeTemplate(stopped.code);
    deps.log('job_ended', { task: opaqueId(task), status: routeTemplate(ended), code });
  }
}

/** Where nothing can be written, by nobody or not by this process, the job is left as it is. */
const endsHere = (error: unknown): boolean =>
  error instanceof StoreError || error instanceof LeaseLostError;

/** What an error means for a job: an unknown one is a fault of ours, and is in the log. */
function stopOf(error: unknown, { log, onTampered }: JobDeps): JobStopped {
  if (error instanceof JobStopped) return error;
  if (error instanceof TamperedError) {
    onTampered?.();
    log('store_tampered', { code: errorCode(error), position: 0 });
    return new JobStopped('record-tampered', undefined, { cause: error });
  }
  const route = routeTemplate('job');
  log('fault', { route, code: errorCode(error), place: errorPlace(error) });
  return new JobStopped('internal', undefined, { cause: error });
}

/** The notification that a Task has its result. */
export function readyEvent(task: string, version: number, at: Date): NewEntry {
  const content = { t: `Task/${task}`, v: String(version), k: 'ready-for-review' };
  return { ...EVENT, content: { ...content, ts: at.toISOString() } };
}

let turn = 0;

class Diagnosis {
  readonly #deps: JobDeps;
  readonly #id: string;
  readonly #patient: string;
  readonly #study: string;
  #task: JsonObject;

  constructor(deps: JobDeps, task: JsonObject) {
    this.#deps = deps;
    this.#task = task;
    this.#id = typeof task['id'] === 'string' ? task['id'] : '';
    this.#patient = idIn(task['for'], 'Patient') ?? '';
    this.#study = idIn(task['focus'], 'ImagingStudy') ?? '';
  }

  async run(): Promise<void> {
    const { agreement } = this.#deps;
    if (this.#task['status'] === 'requested') await this.#commit([], { status: 'accepted' });
    const { model, provider } = await this.#phase('verify-provider', async (entries) => {
      const agreed = agreedModel(agreement.current().trust, undefined);
      return { model: agreed, provider: await this.#findProvider(agreed, entries) };
    });
    const contract = await this.#phase('prove-caller', () => fetchContract(provider.client, model));
    const { device, answer } = await this.#phase('infer', async () => {
      const tensor = await this.#prepare(contract);
      const recipient = await this.#disclose(model, contract, provider);
      const { now, random } = this.#deps;
      const question = { ...provider, model, contract, tensor, agreement, now };
      return {
        device: recipient,
        answer: await askModel({ ...question, requestId: newId(random) }),
      };
    });
    await this.#record({ model, contract, peer: provider.peer, answer, device });
  }

  /** Ends the Task without a result, and tells those concerned: a failure is never silent. */
  async stop({ code, detail }: JobStopped): Promise<void> {
    const { device, now, random, reviewers } = this.#deps;
    const { status, text } = JOB_REASONS[code];
    const words = detail === undefined ? text : `${text} (${detail})`;
    const id = newId(random);
    const about = `Task/${this.#id}`;
    const told = { id, patient: this.#patient, about, sender: device, recipients: reviewers };
    await this.#commit(
      [
        this.#entry(
          'Communication',
          id,
          notice({ ...told, text: 'AI result unavailable', at: now() }),
        ),
        this.#event({ k: status, code }, 1),
      ],
      {
        status,
        statusReason: { coding: [{ system: 'urn:cloister:task-reason', code }], text: words },
        executionPeriod: this.#period(true),
      },
    );
  }

  async #findProvider(model: AgreedModel, entries: NewEntry[]): Promise<TrustedProvider> {
    const { agreement, providers, random } = this.#deps;
    const manifest = agreement.current().trust;
    const onFinding = ({ facts, accepted }: Finding): void => {
      const event = attestationAudit(this.#audit(), facts, accepted);
      entries.push(auditEntry(random, event, this.#patient));
    };
    return findProvider(providers, manifest, model, turn++, onFinding);
  }

  /** The pixels as the contract wants them; nothing else of the image goes on from here. */
  async #prepare(contract: ModelContract): Promise<Float32Array> {
    const { ledger, vault } = this.#deps;
    try {
      const { bytes } = await openImage(ledger, vault, this.#study);
      return prepareInput(await decodePixels(parseDicom(bytes)), contract);
    } catch (error) {
      if (error instanceof ImagingError)
        throw new JobStopped('input-refused', `${error.code}: ${error.detail}`, { cause: error });
      if (error instanceof MalformedError || error instanceof RefusedError)
        throw new JobStopped('input-refused', error.code, { cause: error });
      throw error;
    }
  }

  /** Writes down that the pixels leave, and for whom, before they do; gives the model's Device. */
  async #disclose(
    model: AgreedModel,
    contract: ModelContract,
    { peer }: TrustedProvider,
  ): Promise<string> {
    const { random } = this.#deps;
    const facts = {
      evidenceDigest: peer.evidenceDigest,
      measurement: measurementOf(peer),
      modelDigest: model.digest,
      manifest: peer.manifestId,
      simulated: peer.simulated,
    };
    const entries: NewEntry[] = [];
    let recipient = this.#findDevice(modelIdentifier(model, peer));
    if (recipient === undefined) {
      const id = newId(random);
      recipient = `Device/${id}`;
      const content = modelDevice(id, model, contract, peer);
      entries.push({ type: 'Device', id, content, follows: 0 });
    }
    const [patient, study] = [`Patient/${this.#patient}`, `ImagingStudy/${this.#study}`];
    const event = disclosureAudit(this.#audit(), { patient, study, recipient }, facts);
    entries.push(auditEntry(random, event, this.#patient));
    await this.#commit(entries, {
      status: 'in-progress',
      owner: { reference: recipient },
      executionPeriod: this.#period(false),
    });
    return recipient;
  }

  async #record(
    result: Pick<ResultSource, 'model' | 'contract' | 'peer' | 'answer' | 'device'>,
  ): Promise<void> {
    const { now, random, reviewers } = this.#deps;
    const started = performance.now();
    const at = now();
    const ids = { observation: newId(random), report: newId(random), provenance: newId(random) };
    const { answer, device } = result;
    const patient = this.#patient;
    const source = { ...result, patient, study: this.#study, at, ids };
    const communication = newId(random);
    const entries: NewEntry[] = [
      this.#entry('Observation', ids.observation, findingObservation(source)),
      this.#entry('DiagnosticReport', ids.report, preliminaryReport(source)),
      this.#entry('Provenance', ids.provenance, resultProvenance(source)),
      this.#entry(
        'Communication',
        communication,
        notice({
          id: communication,
          patient,
          about: `DiagnosticReport/${ids.report}`,
          sender: device,
          recipients: reviewers,
          text: 'AI result ready for review',
          at,
        }),
      ),
    ];
    if (answer.heatMap !== undefined) {
      const content = { ...answer.heatMap, values: [...answer.heatMap.values], study: this.#study };
      entries.push(this.#entry(HEAT_MAP_TYPE, ids.observation, content));
    }
    await this.#commit(entries, {
      status: 'completed',
      executionPeriod: this.#period(true),
      output: [
        {
          type: { text: 'report' },
          valueReference: { reference: `DiagnosticReport/${ids.report}` },
        },
      ],
    });
    // Told after it is durable, with the time that took; a crash in between is made up for at start.
    const ms = Math.round(performance.now() - started);
    await this.#deps.ledger.commit([
      this.#event({ k: 'phase', phase: 'record', ok: true, ms }, 0),
      readyEvent(this.#id, this.#version(), this.#deps.now()),
    ]);
    this.#deps.log('job', { task: opaqueId(this.#id), phase: 'record', ok: true, ms });
  }

  /** Does one phase, and reports that it is done or why it is not; `entries` are written with it. */
  async #phase<T>(phase: Phase, work: (entries: NewEntry[]) => Promise<T>): Promise<T> {
    const { log } = this.#deps;
    const started = performance.now();
    const entries: NewEntry[] = [];
    const report = async (ok: boolean, stopped?: JobStopped): Promise<void> => {
      const ms = Math.round(performance.now() - started);
      const why = stopped === undefined ? {} : { code: stopped.code };
      entries.push(this.#event({ k: 'phase', phase, ok, ms, ...why }, 0));
      await this.#deps.ledger.commit(entries);
      log('job', { task: opaqueId(this.#id), phase, ok, ms, ...loggedOf(stopped) });
    };
    let result: T;
    try {
      result = await work(entries);
    } catch (error) {
      if (endsHere(error)) throw error;
      const stopped = stopOf(error, this.#deps);
      await report(false, stopped);
      throw stopped;
    }
    await report(true);
    return result;
  }

  /** Writes entries together with the next version of the Task. */
  async #commit(entries: readonly NewEntry[], change: JsonObject): Promise<void> {
    const lastModified = this.#deps.now().toISOString();
    const content = { ...this.#task, ...change, lastModified };
    const task = { ...this.#entry('Task', this.#id, content), follows: this.#version() };
    const stored = await this.#deps.ledger.commit([task, ...entries]);
    this.#task = stored[0]?.content ?? content;
  }

  #entry(type: string, id: string, content: JsonObject): NewEntry {
    return { type, id, patient: this.#patient, content };
  }

  /** A notification; `ahead` is 1 where it is written with the Task's next version. */
  #event(data: JsonObject, ahead: 0 | 1): NewEntry {
    const ts = this.#deps.now().toISOString();
    const v = String(this.#version() + ahead);
    return { ...EVENT, content: { t: `Task/${this.#id}`, v, ...data, ts } };
  }

  #version(): number {
    return this.#deps.ledger.directory.find('Task', this.#id)?.positions.length ?? 0;
  }

  #period(ended: boolean): JsonObject {
    const before = this.#task['executionPeriod'];
    const at = this.#deps.now().toISOString();
    const start = isJsonObject(before) ? (before['start'] ?? at) : at;
    return ended ? { start, end: at } : { start };
  }

  #audit(): AuditContext {
    const { device, now } = this.#deps;
    const requester = this.#task['requester'];
    const user = isJsonObject(requester) ? requester['reference'] : undefined;
    return {
      device,
      at: now(),
      requestId: this.#id,
      ...(typeof user === 'string' ? { user } : {}),
    };
  }

  /** The Device of a model as this code runs it, where it is known already. */
  #findDevice(identifier: string): string | undefined {
    for (const { id, search } of this.#deps.ledger.directory.all('Device'))
      for (const key of search.get('identifier') ?? [])
        if (key.kind === 'token' && key.system === MODEL_SYSTEM && key.code === identifier)
          return `Device/${id}`;
    return undefined;
  }
}

/** Why a job stopped, as the log may say it: the reason, and the check that failed where it is a code. */
function loggedOf(stopped: JobStopped | undefined): { code?: SafeText; check?: SafeText } {
  if (stopped === undefined) return {};
  const { code, detail = '' } = stopped;
  const check = /^[a-z_.]{1,64}$/.test(detail) ? { check: routeTemplate(detail) } : {};
  return { code: routeTemplate(code), ...check };
}
