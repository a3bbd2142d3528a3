import { encodeUtf8, type JsonObject } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, failureOf, jsonOf, readBody, type Answer } from './exchange.ts';
import { objectOf, objectsOf, readAnswer } from './fields.ts';
import type { NewPatient, RecordsClient, StoredImage } from './records-api.ts';
import {
  heatMapOf,
  ifNoSuchNumber,
  patientResource,
  sessionOf,
  storedImageOf,
} from './records-bodies.ts';
import { parseEvents, readEventStream } from './records-events.ts';
import {
  evidenceView,
  expectType,
  findingView,
  modelView,
  patientView,
  reportView,
  studyView,
  taskView,
  type PatientView,
} from './records-views.ts';
import { onceMoreIfReplayed, writeSurely } from './records-writes.ts';

/** Resources and lists. */
const JSON_LIMIT = 8 << 20;
/** A rendered image. */
const IMAGE_LIMIT = 64 << 20;
/** The largest page that the server gives. */
const PAGE = { _count: '200' };
const BASE = 'https://records';
const FHIR_JSON = 'application/fhir+json';
const EVENT_STREAM = 'text/event-stream';
/** Makes a client over a channel; the channel's own errors pass through it unchanged. */
export function createRecordsClient(fetch: Fetch): RecordsClient {
  return clientOver(fetch, {});
}

/** Clients over several channels may share a session: its token is kept in one place. */
function clientOver(fetch: Fetch, session: { token?: string }): RecordsClient {
  const requestOf = (path: string, init: RequestInit): Request => {
    const headers = new Headers(init.headers);
    if (session.token !== undefined) headers.set('authorization', `Bearer ${session.token}`);
    return new Request(`${BASE}${path}`, { ...init, headers });
  };
  const call = (where: string, path: string, init: CallInit = {}): Promise<Answer> => {
    const { expected = [200], limit = JSON_LIMIT, ...rest } = init;
    const ask = async (): Promise<Answer> => {
      const answer = await exchange(fetch, requestOf(path, rest), { where, limit });
      expectStatus(answer, where, ...expected);
      return answer;
    };
    // What has an effect is not asked again here.
    return rest.method === undefined ? onceMoreIfReplayed(ask) : ask();
  };
  const read = async (type: string, id: string): Promise<JsonObject> => {
    const where = `read ${type}`;
    const path = `/fhir/${type}/${encodeURIComponent(id)}`;
    const answer = await call(where, path, { headers: { accept: FHIR_JSON } });
    return readAnswer(where, () => expectType(jsonOf(answer, where), type));
  };
  const search = async (
    type: string,
    params: Readonly<Record<string, string>>,
  ): Promise<JsonObject[]> => {
    const where = `search ${type}`;
    const query = new URLSearchParams(params).toString();
    const path = `/fhir/${type}${query === '' ? '' : `?${query}`}`;
    const answer = await call(where, path, { headers: { accept: FHIR_JSON } });
    return readAnswer(where, () => {
      const bundle = expectType(jsonOf(answer, where), 'Bundle');
      return objectsOf(bundle, 'entry')
        .map((entry) => objectOf(entry, 'resource'))
        .filter((resource) => resource['resourceType'] === type);
    });
  };
  const create = async (
    type: string,
    resource: JsonObject,
    ifNoneExist?: string,
  ): Promise<JsonObject> => {
    const where = `create ${type}`;
    const condition = ifNoneExist === undefined ? {} : { 'if-none-exist': ifNoneExist };
    const answer = await call(where, `/fhir/${type}`, {
      method: 'POST',
      headers: {
        'content-type': FHIR_JSON,
        accept: FHIR_JSON,
        prefer: 'return=representation',
        ...condition,
      },
      body: encodeUtf8(JSON.stringify(resource)),
      expected: ifNoneExist === undefined ? [201] : [200, 201],
    });
    return readAnswer(where, () => expectType(jsonOf(answer, where), type));
  };
  const createPatient = async (patient: NewPatient, ifNoneExist?: string): Promise<PatientView> => {
    const created = await create('Patient', patientResource(patient), ifNoneExist);
    return readAnswer('create Patient', () => patientView(created));
  };
  const viewOne = async <T>(type: string, id: string, of: (r: JsonObject) => T): Promise<T> => {
    const resource = await read(type, id);
    return readAnswer(`read ${type}`, () => of(resource));
  };

  return {
    async signIn(user, password) {
      delete session.token;
      // A session that nobody took up ends by itself.
      const answer = await onceMoreIfReplayed(() =>
        call('sign in', '/session', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: encodeUtf8(JSON.stringify({ user, password })),
        }),
      );
      const begun = readAnswer('sign in', () => sessionOf(jsonOf(answer, 'sign in')));
      session.token = begun.token;
      return begun;
    },
    over: (other) => clientOver(other, session),
    async signOut() {
      if (session.token === undefined) return;
      try {
        const end = { method: 'DELETE', expected: [204, 401] };
        await onceMoreIfReplayed(() => call('sign out', '/session', end));
      } finally {
        delete session.token;
      }
    },
    createPatient: (patient) =>
      writeSurely({
        where: 'create Patient',
        write: () => createPatient(patient),
        // No two patients have one record number: asked once more, it is there at most once.
        async find() {
          const found = await createPatient(patient, ifNoSuchNumber(patient.mrn));
          if (isOf(found, patient)) return found;
          throw taken();
        },
      }),
    async searchPatients(text) {
      const name = text.trim();
      const found = await search('Patient', { ...PAGE, ...(name === '' ? {} : { name }) });
      return view('search Patient', found, patientView);
    },
    readPatient: (id) => viewOne('Patient', id, patientView),
    async studiesOf(patient) {
      return view(
        'search ImagingStudy',
        await search('ImagingStudy', { patient, ...PAGE }),
        studyView,
      );
    },
    async tasksOf(patient) {
      return view('search Task', await search('Task', { patient, ...PAGE }), taskView);
    },
    async reportsOf(patient) {
      const found = await search('DiagnosticReport', { patient, ...PAGE });
      return view('search DiagnosticReport', found, reportView);
    },
    readStudy: (id) => viewOne('ImagingStudy', id, studyView),
    uploadImage(patient, image, type, { signal } = {}) {
      const upload = async (): Promise<StoredImage> => {
        const answer = await call('upload', `/images?patient=${encodeURIComponent(patient)}`, {
          method: 'POST',
          headers: { 'content-type': type },
          body: new Uint8Array(image),
          expected: [201],
          ...(signal === undefined ? {} : { signal }),
        });
        return readAnswer('upload', () => storedImageOf(jsonOf(answer, 'upload')));
      };
      // An image that is in the record already is found there, and not stored twice.
      return writeSurely({ where: 'upload', write: upload, find: upload, signal });
    },
    async rendered(study) {
      const path = `/images/${encodeURIComponent(study)}/rendered`;
      const answer = await call('rendered image', path, { limit: IMAGE_LIMIT });
      if (answer.headers.get('content-type') !== 'image/png')
        throw new ClientError('malformed_answer', 'rendered image: content-type');
      return answer.body;
    },
    async heatMap(study, observation) {
      const query = new URLSearchParams({ observation }).toString();
      const path = `/images/${encodeURIComponent(study)}/heatmap?${query}`;
      const answer = await call('heat map', path, { expected: [200, 404] });
      if (answer.status === 404) return undefined;
      return readAnswer('heat map', () => heatMapOf(jsonOf(answer, 'heat map')));
    },
    requestDiagnosis: (study, patient, known = []) =>
      writeSurely({
        where: 'create Task',
        async write() {
          const created = await create('Task', {
            resourceType: 'Task',
            status: 'requested',
            intent: 'order',
            code: { coding: [{ system: 'urn:cloister:task', code: 'ai-inference' }] },
            focus: { reference: `ImagingStudy/${study}` },
            for: { reference: `Patient/${patient}` },
          });
          return readAnswer('create Task', () => taskView(created));
        },
        // Two orders are two analyses: it is only looked whether there is one that was not there.
        async find() {
          const found = await search('Task', { focus: study, ...PAGE });
          const tasks = view('search Task', found, taskView);
          return tasks.find((task) => task.study === study && !known.includes(task.id));
        },
      }),
    readTask: (id) => viewOne('Task', id, taskView),
    readReport: (id) => viewOne('DiagnosticReport', id, reportView),
    readFinding: (id) => viewOne('Observation', id, findingView),
    readModel: (id) => viewOne('Device', id, modelView),
    async evidenceOf(report) {
      const found = await search('Provenance', { target: `DiagnosticReport/${report}` });
      return view('search Provenance', found, evidenceView)[0];
    },
    async events(cursor, wait, signal) {
      const answer = await call(
        'events',
        `/events?cursor=${cursor}&wait=${wait}`,
        signal === undefined ? {} : { signal },
      );
      return readAnswer('events', () => parseEvents(answer.body, cursor));
    },
    async *eventStream(cursor, signal) {
      const where = 'event stream';
      const headers = { accept: EVENT_STREAM, 'last-event-id': String(cursor) };
      const request = requestOf('/events', { headers, signal });
      let response: Response;
      try {
        response = await fetch(request);
      } catch (error) {
        throw failureOf(error, signal, where);
      }
      const { status } = response;
      if (status !== 200) {
        const body = await readBody(response, where, JSON_LIMIT);
        expectStatus({ status, headers: response.headers, body }, where, 200);
      }
      const type = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
      if (type !== EVENT_STREAM) {
        response.body?.cancel().catch(() => undefined);
        throw new ClientError('malformed_answer', `${where}: content-type`);
      }
      yield* readEventStream(response, { cursor, signal, where });
    },
    read,
    search,
  };
}

type CallInit = RequestInit & { expected?: readonly number[]; limit?: number };

/** Whether a patient of the record is the one of the form. */
function isOf(found: PatientView, { family, given, gender, birthDate, mrn }: NewPatient): boolean {
  return (
    found.family === family &&
    found.given === given &&
    found.gender === gender &&
    found.birthDate === birthDate &&
    found.mrn === mrn
  );
}

/** What the server says where somebody else has the record number. */
function taken(): ClientError {
  const issue = { code: 'duplicate', reason: 'duplicate', expression: 'Patient.identifier' };
  return new ClientError('conflict', 'create Patient', { status: 409, issues: [issue] });
}

function view<T>(
  where: string,
  resources: readonly JsonObject[],
  of: (resource: JsonObject) => T,
): T[] {
  return readAnswer(where, () => resources.map(of));
}
