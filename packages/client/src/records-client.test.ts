import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { createRecordsClient } from './records-client.ts';

const PATIENT = {
  resourceType: 'Patient',
  id: 'p1',
  identifier: [{ type: { coding: [{ code: 'MR' }] }, system: 'urn:cloister:mrn', value: 'LH-1' }],
  name: [{ family: '张', given: ['伟'] }],
  gender: 'male',
  birthDate: '2022-03-14',
};
const SESSION = {
  token: 't-1',
  user: { name: 'Dr Li', role: 'radiologist', practitioner: 'Practitioner/1' },
  expires: '2026-11-24T13:00:00Z',
};

type Answer = (request: Request) => Response | Promise<Response>;

/** A client over one answer, and the requests that it made. */
function clientOf(answer: Answer) {
  const requests: Request[] = [];
  const client = createRecordsClient(async (request) => {
    requests.push(request.clone());
    return answer(request);
  });
  return { client, requests };
}
const throwing = (error: Error) => (): never => {
  throw error;
};
const json = (value: unknown, status = 200): Response => Response.json(value, { status });
const bundle = (...resources: JsonObject[]): Response =>
  json({ resourceType: 'Bundle', entry: resources.map((resource) => ({ resource })) });

describe('createRecordsClient', () => {
  it('carries the token after signing in, over other channels too, and drops it at the end', async () => {
    const { client, requests } = clientOf(({ url, method }) => {
      if (url.endsWith('/session'))
        return method === 'DELETE' ? new Response(null, { status: 204 }) : json(SESSION);
      return json(PATIENT);
    });
    const session = await client.signIn('radiologist', 'secret');
    assert.deepEqual(session.expires, new Date('2026-11-24T13:00:00Z'));
    assert.equal(requests[0]?.headers.get('authorization'), null);
    await client.readPatient('p1');
    assert.equal(requests[1]?.headers.get('authorization'), 'Bearer t-1');
    const other = clientOf(() => json(PATIENT));
    await client
      .over(async (request) => {
        other.requests.push(request);
        return json(PATIENT);
      })
      .readPatient('p1');
    assert.equal(other.requests[0]?.headers.get('authorization'), 'Bearer t-1');
    await client.signOut();
    await client.readPatient('p1');
    assert.equal(requests.at(-1)?.headers.get('authorization'), null);
  });

  it('forgets the token even where the server cannot be told', async () => {
    let up = true;
    const { client, requests } = clientOf(({ url }) => {
      if (!up) throw new TypeError('down');
      return url.endsWith('/session') ? json(SESSION) : json(PATIENT);
    });
    await client.signIn('clerk', 'x');
    up = false;
    await assert.rejects(client.signOut(), { code: 'unavailable' });
    up = true;
    await client.readPatient('p1');
    assert.equal(requests.at(-1)?.headers.get('authorization'), null);
  });

  it('creates a patient whose name is shown in the order of its script', async () => {
    const { client, requests } = clientOf(() => json(PATIENT, 201));
    const patient = {
      family: '张',
      given: '伟',
      gender: 'male' as const,
      birthDate: '2022-03-14',
      mrn: 'LH-1',
    };
    assert.deepEqual(await client.createPatient(patient), {
      id: 'p1',
      name: '张伟',
      ...patient,
    });
    const sent = (await requests[0]?.json()) as typeof PATIENT;
    assert.equal((sent.name[0] as { text?: string } | undefined)?.text, '张伟');
    assert.equal(sent.identifier[0]?.value, 'LH-1');
  });

  it('sends images under their own type, to their patient', async () => {
    const { client, requests } = clientOf(() =>
      json({ imagingStudy: 'ImagingStudy/s1', instance: '1.2.3', mismatch: ['mrn'] }, 201),
    );
    const stored = await client.uploadImage('p/1', Uint8Array.of(1, 2), 'image/png');
    assert.deepEqual(stored, { study: 's1', instance: '1.2.3', mismatch: ['mrn'] });
    assert.equal(requests[0]?.headers.get('content-type'), 'image/png');
    assert.equal(new URL(requests[0]?.url ?? '').search, '?patient=p%2F1');
  });

  it('reads events in order, with the cursor to go on with', async () => {
    const text =
      ': hello\n\nid: 41\nevent: resource\ndata: {"t":"Task/a","v":"2","k":"phase","phase":"infer","ok":true,"ms":12}\n\n' +
      'id: 42\r\nevent: resource\r\ndata: {"t":"Task/a",\r\ndata: "k":"ready-for-review"}\r\n\r\n';
    const { client } = clientOf(() => new Response(text));
    const { events, cursor } = await client.events(40, 25);
    assert.equal(cursor, 42);
    assert.deepEqual(events[0], {
      id: 41,
      target: 'Task/a',
      kind: 'phase',
      version: '2',
      phase: 'infer',
      ok: true,
      ms: 12,
    });
    assert.equal(events[1]?.kind, 'ready-for-review');
    const none = clientOf(() => new Response(': nothing yet\n\n')).client;
    assert.deepEqual(await none.events(40, 0), { events: [], cursor: 40 });
  });

  it('refuses events out of order, without an id, or with other data', async () => {
    for (const text of [
      'data: {"t":"a","k":"b"}\n\n',
      'id: x\ndata: {"t":"a","k":"b"}\n\n',
      'id: 2\ndata: {"t":"a","k":"b"}\n\nid: 2\ndata: {"t":"a","k":"b"}\n\n',
      'id: 1\ndata: {"t":"a"}\n\n',
      'id: 1\ndata: [1]\n\n',
      'id: 1\ndata: {"t":"a","k":"b","ok":"yes"}\n\n',
    ]) {
      const { client } = clientOf(() => new Response(text));
      await assert.rejects(client.events(0, 0), { code: 'malformed_answer' }, text);
    }
  });

  it('has no heat map where the server has none, and refuses one that is none', async () => {
    const none = clientOf(() => json({}, 404)).client;
    assert.equal(await none.heatMap('s', 'o'), undefined);
    const good = { width: 2, height: 1, values: [0, 1] };
    assert.deepEqual(await clientOf(() => json(good)).client.heatMap('s', 'o'), good);
    for (const bad of [
      { ...good, values: [0] },
      { ...good, values: [0, 1.5] },
      { ...good, values: [0, -0.1] },
      { ...good, values: [0, null] },
      { ...good, width: 0, values: [] },
      { ...good, width: 1.5 },
      { ...good, width: 1e9 },
    ])
      await assert.rejects(clientOf(() => json(bad)).client.heatMap('s', 'o'), {
        code: 'malformed_answer',
      });
  });

  it('shows only PNG as a rendered image', async () => {
    const html = clientOf(() => new Response('<p>', { headers: { 'content-type': 'text/html' } }));
    await assert.rejects(html.client.rendered('s'), { code: 'malformed_answer' });
  });

  it('lists only resources of the type that it asked for', async () => {
    const outcome = { resourceType: 'OperationOutcome', issue: [] };
    const { client, requests } = clientOf(() => bundle(PATIENT, outcome));
    assert.equal((await client.searchPatients(' 张 ')).length, 1);
    assert.equal(new URL(requests[0]?.url ?? '').searchParams.get('name'), '张');
  });

  it('turns every refusal into its code, with what the server said about it', async () => {
    const statuses: [number, string][] = [
      [400, 'invalid'],
      [401, 'unauthorized'],
      [403, 'forbidden'],
      [404, 'not_found'],
      [409, 'conflict'],
      [412, 'conflict'],
      [413, 'too_large'],
      [415, 'unsupported_media_type'],
      [418, 'refused'],
      [422, 'invalid'],
      [429, 'throttled'],
      [500, 'server_error'],
      [507, 'server_error'],
    ];
    const outcome = {
      resourceType: 'OperationOutcome',
      issue: [
        {
          severity: 'error',
          code: 'duplicate',
          expression: ['Patient.identifier'],
          details: { coding: [{ code: 'duplicate' }], text: 'another patient has it' },
        },
      ],
    };
    for (const [status, code] of statuses) {
      const { client } = clientOf(() => json(outcome, status));
      await assert.rejects(client.readPatient('p1'), {
        code,
        status,
        issues: [
          {
            code: 'duplicate',
            reason: 'duplicate',
            expression: 'Patient.identifier',
            text: 'another patient has it',
          },
        ],
      });
    }
    for (const body of ['', 'plain text', '[]', '{"issue":7}']) {
      const { client } = clientOf(() => new Response(body, { status: 500 }));
      await assert.rejects(client.readPatient('p1'), { code: 'server_error', issues: [] });
    }
  });

  it('refuses malformed resources of every kind', async () => {
    const bad: [JsonObject, (c: ReturnType<typeof createRecordsClient>) => Promise<unknown>][] = [
      [{ resourceType: 'Group', id: 'p1' }, (c) => c.readPatient('p1')],
      [{ ...PATIENT, id: 7 }, (c) => c.readPatient('p1')],
      [{ ...PATIENT, name: 'x' }, (c) => c.readPatient('p1')],
      [{ resourceType: 'Task', id: 't', status: 'done' }, (c) => c.readTask('t')],
      [{ resourceType: 'Observation', id: 'o', status: 'preliminary' }, (c) => c.readFinding('o')],
      [{ resourceType: 'DiagnosticReport', id: 'r' }, (c) => c.readReport('r')],
      [{ resourceType: 'ImagingStudy', id: 's' }, (c) => c.readStudy('s')],
      [{ resourceType: 'Bundle', entry: [{}] }, (c) => c.searchPatients('')],
    ];
    for (const [resource, ask] of bad) {
      const { client } = clientOf(() => json(resource));
      await assert.rejects(ask(client), { code: 'malformed_answer' }, JSON.stringify(resource));
    }
    const bomb = '['.repeat(100_000);
    await assert.rejects(clientOf(() => new Response(bomb)).client.readPatient('p'), {
      code: 'malformed_answer',
    });
    const endless = new Uint8Array((8 << 20) + 1);
    await assert.rejects(clientOf(() => new Response(endless)).client.readPatient('p'), {
      code: 'answer_too_large',
    });
  });

  it('passes errors of the transport that have a code, and names others unavailable', async () => {
    const coded = Object.assign(new Error('x'), { code: 'stale_key' });
    await assert.rejects(clientOf(throwing(coded)).client.readPatient('p'), coded);
    await assert.rejects(clientOf(throwing(new TypeError('x'))).client.readPatient('p'), {
      code: 'unavailable',
    });
  });
});
