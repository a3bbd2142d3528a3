import { decodeUtf8, encodeUtf8, MalformedError, type JsonObject } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, jsonOf, type Answer } from './exchange.ts';
import { numberOf, numbersOf, objectOf, objectsOf, readAnswer, textOf, textsOf } from './fields.ts';
import type { HeatMap, NewPatient, RecordsClient, Session } from './records-api.ts';
import { parseEvents } from './records-events.ts';
import {
  displayName,
  evidenceView,
  expectType,
  findingView,
  modelView,
  patientView,
  reportView,
  studyView,
  taskView,
} from './records-views.ts';

/** Resources and lists. */
const JSON_LIMIT = 8 << 20;
/** A rendered image. */
const IMAGE_LIMIT = 64 << 20;
/** The largest page that the server gives. */
const PAGE = { _count: '200' };
const BASE = 'https://records';
const FHIR_JSON = 'application/fhir+json';
/** The system of this deployment's record numbers. */
export const MRN_SYSTEM = 'urn:cloister:mrn';

/** Makes a client over a channel; the channel's own errors pass through it unchanged. */
export function createRecordsClient(fetch: Fetch): RecordsClient {
  return clientOver(fetch, {});
}

/** Clients over several channels may share a session: its token is kept in one place. */
function clientOver(fetch: Fetch, session: { token?: string }): RecordsClient {
  const call = async (
    where: string,
    path: string,
    init: RequestInit & { expected?: readonly number[]; limit?: number } = {},
  ): Promise<Answer> => {
    const headers = new Headers(init.headers);
    if (session.token !== undefined) headers.set('authorization', `Bearer ${session.token}`);
    const { expected = [200], limit = JSON_LIMIT, ...rest } = init;
    const request = new Request(`${BASE}${path}`, { ...rest, headers });
    const answer = await exchange(fetch, request, { where, limit });
    expectStatus(answer, where, ...expected);
    return answer;
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
  const create = async (type: string, resource: JsonObject): Promise<JsonObject> => {
    const where = `create ${type}`;
    const answer = await call(where, `/fhir/${type}`, {
      method: 'POST',
      headers: { 'content-type': FHIR_JSON, accept: FHIR_JSON, prefer: 'return=representation' },
      body: encodeUtf8(JSON.stringify(resource)),
      expected: [201],
    });
    return readAnswer(where, () => expectType(jsonOf(answer, where), type));
  };
  const viewOne = async <T>(type: string, id: string, of: (r: JsonObject) => T): Promise<T> => {
    const resource = await read(type, id);
    return readAnswer(`read ${type}`, () => of(resource));
  };

  return {
    async signIn(user, password) {
      delete session.token;
      const answer = await call('sign in', '/session', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: encodeUtf8(JSON.stringify({ user, password })),
      });
      const begun = readAnswer('sign in', () => sessionOf(jsonOf(answer, 'sign in')));
      session.token = begun.token;
      return begun;
    },
    over: (other) => clientOver(other, session),
    async signOut() {
      if (session.token === undefined) return;
      try {
        await call('sign out', '/session', { method: 'DELETE', expected: [204, 401] });
      } finally {
        delete session.token;
      }
    },
    async createPatient(patient) {
      const created = await create('Patient', patientResource(patient));
      return readAnswer('create Patient', () => patientView(created));
    },
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
    async uploadImage(patient, image, type, { signal } = {}) {
      const answer = await call('upload', `/images?patient=${encodeURIComponent(patient)}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: new Uint8Array(image),
        expected: [201],
        ...(signal === undefined ? {} : { signal }),
      });
      return readAnswer('upload', () => {
        const stored = jsonOf(answer, 'upload');
        const match = /^ImagingStudy\/(.+)$/.exec(textOf(stored, 'imagingStudy'));
        if (match?.[1] === undefined) throw new MalformedError('bad_value', 'imagingStudy');
        return {
          study: match[1],
          instance: textOf(stored, 'instance'),
          mismatch: textsOf(stored, 'mismatch'),
        };
      });
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
    async requestDiagnosis(study, patient) {
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
    readTask: (id) => viewOne('Task', id, taskView),
    readReport: (id) => viewOne('DiagnosticReport', id, reportView),
    readFinding: (id) => viewOne('Observation', id, findingView),
    readModel: (id) => viewOne('Device', id, modelView),
    async evidenceOf(report) {
      const found = await search('Provenance', { target: `DiagnosticReport/${report}` });
      return view('search Provenance', found, evidenceView)[0];
    },
    async events(cursor, wait, signal) {
      const answer = await call('events', `/events?cursor=${cursor}&wait=${wait}`, {
        headers: { accept: 'text/event-stream' },
        ...(signal === undefined ? {} : { signal }),
      });
      const events = readAnswer('events', () => parseEvents(decodeUtf8(answer.body, 'events')));
      return { events, cursor: events.at(-1)?.id ?? cursor };
    },
    read,
    search,
  };
}

function view<T>(
  where: string,
  resources: readonly JsonObject[],
  of: (resource: JsonObject) => T,
): T[] {
  return readAnswer(where, () => resources.map(of));
}

function sessionOf(answer: JsonObject): Session {
  const user = objectOf(answer, 'user');
  const practitioner = user['practitioner'];
  const expires = new Date(textOf(answer, 'expires'));
  if (Number.isNaN(expires.getTime())) throw new MalformedError('bad_value', 'expires');
  return {
    token: textOf(answer, 'token'),
    user: {
      name: textOf(user, 'name'),
      role: textOf(user, 'role'),
      ...(typeof practitioner === 'string' ? { practitioner } : {}),
    },
    expires,
  };
}

function patientResource({ family, given, gender, birthDate, mrn }: NewPatient): JsonObject {
  const type = {
    coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'MR' }],
  };
  return {
    resourceType: 'Patient',
    identifier: [{ use: 'usual', type, system: MRN_SYSTEM, value: mrn }],
    name: [{ use: 'official', text: displayName(family, given), family, given: [given] }],
    gender,
    birthDate,
  };
}

function heatMapOf(answer: JsonObject): HeatMap {
  const width = numberOf(answer, 'width');
  const height = numberOf(answer, 'height');
  const values = numbersOf(answer, 'values');
  if (!isSide(width) || !isSide(height)) throw new MalformedError('bad_value', 'heat map: size');
  if (values.length !== width * height) throw new MalformedError('bad_value', 'heat map: values');
  if (values.some((value) => value < 0 || value > 1))
    throw new MalformedError('bad_value', 'heat map: range');
  return { width, height, values };
}

function isSide(n: number): boolean {
  return Number.isInteger(n) && n > 0 && n <= 4096;
}
