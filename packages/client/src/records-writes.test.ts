import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { ChannelError, type Fetch } from '@cloister/channel';
import { ClientError } from './client-error.ts';
import { createRecordsClient } from './records-client.ts';
import { leavesOpen } from './records-writes.ts';

const FORM = {
  family: 'Rivera',
  given: 'Ana',
  gender: 'female' as const,
  birthDate: '2021-05-04',
  mrn: 'A|1,2',
};
const patient = (more: JsonObject = {}): JsonObject => ({
  resourceType: 'Patient',
  id: 'p1',
  identifier: [{ type: { coding: [{ code: 'MR' }] }, value: FORM.mrn }],
  name: [{ family: FORM.family, given: [FORM.given] }],
  gender: FORM.gender,
  birthDate: FORM.birthDate,
  ...more,
});
const task = (id: string): JsonObject => ({
  resourceType: 'Task',
  id,
  status: 'requested',
  focus: { reference: 'ImagingStudy/s1' },
});
const STORED = { imagingStudy: 'ImagingStudy/s1', instance: '1.2', mismatch: [] };

const json = (value: unknown, status = 200) => Response.json(value, { status });
const bundle = (...resources: JsonObject[]) =>
  json({ resourceType: 'Bundle', entry: resources.map((resource) => ({ resource })) });
const refusal = (status: number, reason: string) =>
  json(
    {
      resourceType: 'OperationOutcome',
      issue: [{ code: 'x', details: { coding: [{ code: reason }] } }],
    },
    status,
  );
const copy = () => refusal(409, 'replayed');

/** A client that gets these answers in turn, and the requests that it made. */
function clientOf(...answers: readonly (Response | Error)[]) {
  const requests: Request[] = [];
  const left = [...answers];
  const fetch: Fetch = async (request) => {
    requests.push(request);
    const next = left.shift() ?? assert.fail('one request too many');
    if (next instanceof Error) throw next;
    return next;
  };
  return { client: createRecordsClient(fetch), requests };
}

describe('what only reads', () => {
  it('is asked once more, as a new request, where the first was taken for a copy', async () => {
    const { client, requests } = clientOf(copy(), json(patient()));
    assert.equal((await client.readPatient('p1')).id, 'p1');
    assert.equal(requests.length, 2);
    const plain = clientOf(json({ type: 'urn:cloister:replayed' }, 409), bundle());
    assert.deepEqual(await plain.client.searchPatients('x'), []);
  });

  it('is not asked a third time, nor again after any other failure', async () => {
    const twice = clientOf(copy(), copy());
    await assert.rejects(twice.client.readPatient('p1'), { code: 'replayed' });
    assert.equal(twice.requests.length, 2);
    for (const answer of [
      refusal(409, 'duplicate'),
      refusal(500, 'internal'),
      new TypeError('x'),
    ]) {
      const { client, requests } = clientOf(answer);
      await assert.rejects(client.readPatient('p1'));
      assert.equal(requests.length, 1);
    }
  });

  it('so does a sign-in: a session that nobody took up ends by itself', async () => {
    const session = {
      token: 't',
      user: { name: 'n', role: 'clerk' },
      expires: '2026-11-24T13:00:00Z',
    };
    assert.equal((await clientOf(copy(), json(session)).client.signIn('u', 'p')).token, 't');
  });
});

/** Failures after which nobody knows whether a write took effect. */
const OPEN = (): (Response | Error)[] => [
  copy(),
  new TypeError('network'),
  new ChannelError('transport_failed'),
  new ChannelError('answer_truncated'),
  new ChannelError('open_failed'),
  // Not signed by anybody: a host may say so afterwards.
  new ChannelError('stale_key'),
  new ChannelError('not_encapsulated'),
  Object.assign(new Error('no'), { code: 'timeout' }),
  refusal(500, 'internal'),
  refusal(503, 'storage_unavailable'),
  new Response('not JSON', { status: 201 }),
];
/** Failures that prove that there was no effect. */
const CLOSED = (): (Response | Error)[] => [
  new ChannelError('clock_refused'),
  new ClientError('not_sent', 'guard'),
  refusal(422, 'invalid_resource'),
  refusal(409, 'duplicate'),
  refusal(401, 'not_signed_in'),
  refusal(507, 'storage_full'),
];

describe('a new patient', () => {
  it('is asked for once more under the condition that nobody has the number', async () => {
    for (const answer of OPEN()) {
      const { client, requests } = clientOf(answer, json(patient()));
      assert.equal((await client.createPatient(FORM)).id, 'p1');
      assert.deepEqual(
        requests.map(({ headers }) => new URLSearchParams(headers.get('if-none-exist') ?? '')),
        [new URLSearchParams(), new URLSearchParams({ identifier: 'urn:cloister:mrn|A\\|1\\,2' })],
      );
    }
  });

  it('is not repeated where the first answer says that nothing was saved', async () => {
    for (const answer of CLOSED()) {
      const { client, requests } = clientOf(answer);
      await assert.rejects(client.createPatient(FORM));
      assert.equal(requests.length, 1);
    }
  });

  it('is another patient of the same number where the record differs', async () => {
    const others = [
      { gender: 'male' },
      { birthDate: '2020-01-01' },
      { name: [{ family: 'Other', given: ['Ana'] }] },
      { name: [{ family: 'Rivera', given: ['Other'] }] },
    ];
    for (const other of others)
      await assert.rejects(clientOf(copy(), json(patient(other))).client.createPatient(FORM), {
        code: 'conflict',
        issues: [{ code: 'duplicate', reason: 'duplicate', expression: 'Patient.identifier' }],
      });
  });

  it('may have been saved where asking once more does not tell either', async () => {
    const later = [refusal(429, 'throttled'), new ClientError('not_sent', 'guard')];
    for (const second of [...OPEN(), ...later]) {
      const { client, requests } = clientOf(copy(), second);
      await assert.rejects(client.createPatient(FORM), { code: 'unsure' });
      assert.equal(requests.length, 2);
    }
    await assert.rejects(clientOf(copy(), refusal(401, 'x')).client.createPatient(FORM), {
      code: 'unauthorized',
    });
  });
});

describe('an upload', () => {
  const IMAGE = Uint8Array.of(1, 2, 3);

  it('is sent once more where it is open whether it was stored: the same is stored once', async () => {
    for (const answer of OPEN()) {
      const { client, requests } = clientOf(answer, json({ ...STORED, duplicate: true }, 201));
      assert.equal((await client.uploadImage('p1', IMAGE, 'image/png')).study, 's1');
      assert.equal(requests.length, 2);
    }
    const { client } = clientOf(copy(), new TypeError('down'));
    await assert.rejects(client.uploadImage('p1', IMAGE, 'image/png'), { code: 'unsure' });
  });

  it('is over when its caller gives up, before or while it is found out', async () => {
    const stop = new AbortController();
    const options = { signal: stop.signal };
    let asked = 0;
    const client = createRecordsClient(async () => {
      asked += 1;
      stop.abort(new Error('cancelled'));
      throw new TypeError('network');
    });
    await assert.rejects(client.uploadImage('p1', IMAGE, 'image/png', options), {
      message: 'cancelled',
    });
    assert.equal(asked, 1);
    const late = new AbortController();
    const second = createRecordsClient(async () => {
      asked += 1;
      if (asked === 3) late.abort(new Error('cancelled'));
      throw new TypeError('network');
    });
    await assert.rejects(second.uploadImage('p1', IMAGE, 'image/png', { signal: late.signal }), {
      message: 'cancelled',
    });
  });
});

describe('an order', () => {
  it('is never repeated: one that was not there before is taken for it', async () => {
    for (const answer of OPEN()) {
      const { client, requests } = clientOf(answer, bundle(task('old'), task('new')));
      assert.equal((await client.requestDiagnosis('s1', 'p1', ['old'])).id, 'new');
      assert.deepEqual(
        requests.map(({ method }) => method),
        ['POST', 'GET'],
      );
      assert.equal(new URL(requests[1]?.url ?? '').searchParams.get('focus'), 's1');
    }
  });

  it('may have been taken where none is seen, or nobody can look', async () => {
    const none = clientOf(copy(), bundle(task('old')));
    await assert.rejects(none.client.requestDiagnosis('s1', 'p1', ['old']), { code: 'unsure' });
    const down = clientOf(copy(), new TypeError('down'));
    await assert.rejects(down.client.requestDiagnosis('s1', 'p1'), { code: 'unsure' });
    for (const answer of CLOSED()) {
      const { client, requests } = clientOf(answer);
      await assert.rejects(client.requestDiagnosis('s1', 'p1'));
      assert.equal(requests.length, 1);
    }
  });
});

describe('leavesOpen', () => {
  it('says so of no error that nobody foresaw as an answer', () => {
    assert.equal(leavesOpen(new TypeError('a bug')), false);
    assert.equal(leavesOpen('x'), false);
  });
});
