import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { validateFhir } from '@cloister/clinical';
import {
  type Answer,
  client,
  type Client,
  entries,
  idOf,
  patient,
  random,
  refusal,
  type Running,
  signIn,
  start,
} from '../tools/test-records.ts';

const CANARY = 'CANARY-Kovalenko';

const sendText = (call: Client, body: string, type = 'application/fhir+json') =>
  call('POST', '/fhir/Patient', { body, headers: { 'content-type': type } });

describe('the FHIR interface', () => {
  let running: Running;
  let call: Client;
  let zhang: string;
  before(async () => {
    running = await start();
    call = await signIn(running);
    zhang = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-1') }));
  });
  after(() => running.close());

  it('creates, reads and finds a patient', async () => {
    const created = await call('POST', '/fhir/Patient', { body: patient('MRN-2', '王', '伟') });
    assert.equal(created.status, 201);
    assert.match(
      created.headers.get('location') ?? '',
      /^\/fhir\/Patient\/[0-9a-f-]{36}\/_history\/1$/,
    );
    assert.equal(created.headers.get('etag'), 'W/"1"');
    const read = await call('GET', `/fhir/Patient/${idOf(created)}`);
    assert.equal(read.status, 200);
    assert.deepEqual(read.json, created.json);
    assert.deepEqual(validateFhir(read.json), []);
    for (const name of ['王', '王伟', '伟'])
      assert.deepEqual(
        entries(await call('GET', `/fhir/Patient?name=${encodeURIComponent(name)}`)).map(
          (e) => e['id'],
        ),
        [idOf(created)],
      );
  });

  const finds: [string, boolean][] = [
    ['name=zha', true],
    ['name=ZHÁNG', true],
    ['name=wei%20zhang', true],
    ['name=hang', false],
    ['name:contains=hang', true],
    ['name:exact=Zhang', true],
    ['name:exact=zhang', false],
    ['name=li,zha', true],
    ['name=zha&gender=female', false],
    ['identifier=MRN-1', true],
    ['identifier=urn:cloister:mrn|MRN-1', true],
    ['identifier=urn:cloister:mrn|', true],
    ['identifier=|MRN-1', false],
    ['identifier=urn:other|MRN-1', false],
    ['gender:not=female', true],
    ['birthdate=1980', true],
    ['birthdate=1980-02-03', true],
    ['birthdate=1980-02-04', false],
    ['birthdate=lt1980-03', true],
    ['birthdate=gt1980-02-03', false],
    ['birthdate=ge1980-02-03&birthdate=le1980-02-03', true],
    ['active:missing=true', true],
    ['active:missing=false', false],
  ];
  for (const [query, found] of finds)
    it(`search ${query} ${found ? 'finds' : 'does not find'} the patient`, async () => {
      const answer = await call('GET', `/fhir/Patient?${encodeURI(decodeURI(query))}`);
      assert.equal(answer.status, 200);
      assert.equal(
        entries(answer).some((e) => e['id'] === zhang),
        found,
      );
    });

  it('answers a search by POST', async () => {
    const answer = await call('POST', '/fhir/Patient/_search', {
      body: 'identifier=MRN-1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    assert.deepEqual(
      entries(answer).map((e) => e['id']),
      [zhang],
    );
  });

  it('ignores an unknown parameter and says so, or refuses it when strict', async () => {
    const lenient = await call('GET', '/fhir/Patient?wombat=1&identifier=MRN-1');
    assert.equal(entries(lenient).at(-1)?.['resourceType'], 'OperationOutcome');
    const links = lenient.json['link'] as { url: string }[];
    assert.equal(links[0]?.url.includes('wombat'), false);
    const strict = await call('GET', '/fhir/Patient?wombat=1', {
      headers: { prefer: 'handling=strict' },
    });
    assert.equal(strict.status, 400);
    assert.equal(refusal(strict), 'unknown_parameter');
  });

  it('pages through a result, each match once, and seals the cursor', async () => {
    const other = await start();
    const own = await signIn(other);
    for (let i = 0; i < 7; i++) {
      other.at = new Date(other.at.getTime() + 1);
      await own('POST', '/fhir/Patient', { body: patient(`P-${i}`) });
    }
    const seen: unknown[] = [];
    let next: string | undefined = '/fhir/Patient?_count=3&_sort=_lastUpdated';
    for (let pages = 0; next !== undefined && pages < 9; pages++) {
      const answer: Answer = await own('GET', next);
      assert.equal(answer.json['total'], 7);
      seen.push(...entries(answer).map((e) => (e['identifier'] as JsonObject[])[0]?.['value']));
      const links = answer.json['link'] as { relation: string; url: string }[];
      const url = links.find((l) => l.relation === 'next')?.url;
      next = url === undefined ? undefined : url.replace('https://records', '');
      if (next) {
        const forged = next.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A'));
        assert.equal((await own('GET', forged)).status, 400);
        assert.equal((await own('GET', `${next}&gender=male`)).status, 400);
      }
    }
    assert.deepEqual(
      seen,
      [0, 1, 2, 3, 4, 5, 6].map((i) => `P-${i}`),
    );
    assert.equal((await own('GET', '/fhir/Patient?_summary=count')).json['entry'], undefined);
    await other.close();
  });

  it('refuses what is not valid, with the place and without the value', async () => {
    const bad = { ...patient('MRN-3'), gender: CANARY, [CANARY]: 1 };
    const answer = await call('POST', '/fhir/Patient', { body: bad });
    assert.equal(answer.status, 422);
    assert.ok(JSON.stringify(answer.json).includes('Patient.gender'));
    assert.equal(JSON.stringify(answer.json).includes(CANARY), false);
    assert.deepEqual(validateFhir(answer.json), []);
    const { identifier: _, ...nameless } = patient('x');
    assert.equal((await call('POST', '/fhir/Patient', { body: nameless })).status, 422);
  });

  it('refuses text that is no JSON, too much of it, other types and media types', async () => {
    assert.equal((await sendText(call, '{')).status, 400);
    assert.equal((await sendText(call, '{"resourceType":"Patient","a":1,"a":2}')).status, 400);
    assert.equal((await sendText(call, '[]')).status, 400);
    assert.equal((await sendText(call, '[{'.repeat(5000))).status, 400);
    assert.equal((await sendText(call, '{"resourceType":"Task"}')).status, 400);
    assert.equal((await sendText(call, `"${'x'.repeat(2 << 20)}"`)).status, 413);
    assert.equal((await sendText(call, '<Patient/>', 'application/fhir+xml')).status, 415);
  });

  it('refuses a second patient with an identifier that is taken, also at the same time', async () => {
    const again = await call('POST', '/fhir/Patient', { body: patient('MRN-1') });
    assert.equal(again.status, 409);
    assert.equal(refusal(again), 'duplicate');
    const both = await Promise.all(
      [1, 2, 3].map(() => call('POST', '/fhir/Patient', { body: patient('MRN-9') })),
    );
    assert.deepEqual(
      both.map((a) => a.status).toSorted((a, b) => a - b),
      [201, 409, 409],
    );
  });

  it('creates once what the same caller asks for again', async () => {
    const headers = { 'if-none-exist': 'identifier=urn:cloister:mrn|MRN-C' };
    const create = (body = patient('MRN-C')) => call('POST', '/fhir/Patient', { body, headers });
    const both = await Promise.all([create(), create(), create()]);
    assert.deepEqual(
      both.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 200, 201],
    );
    assert.equal(new Set(both.map(idOf)).size, 1);
    const again = await create(patient('MRN-C', 'Other'));
    assert.equal(again.status, 200);
    assert.equal((again.json['name'] as JsonObject[])[0]?.['family'], 'Zhang');
    for (const condition of ['', 'wombat=1', '_count=1']) {
      const bad = { 'if-none-exist': condition };
      const answer = await call('POST', '/fhir/Patient', { body: patient('x'), headers: bad });
      assert.equal(answer.status, 400, condition);
    }
    const many = { 'if-none-exist': 'gender=male' };
    const answer = await call('POST', '/fhir/Patient', { body: patient('y'), headers: many });
    assert.equal(refusal(answer), 'several_matches');
    assert.deepEqual(validateFhir(answer.json), []);
  });

  it('updates by version only', async () => {
    const id = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-U') }));
    const body = { ...patient('MRN-U', 'Changed'), id };
    const put = (match?: string, path = id) =>
      call('PUT', `/fhir/Patient/${path}`, { body, headers: match ? { 'if-match': match } : {} });
    assert.equal((await put()).status, 428);
    assert.equal((await put('W/"7"')).status, 412);
    assert.equal((await put('W/"1"', zhang)).status, 400);
    assert.equal((await put('W/"1"', 'unknown')).status, 405);
    const done = await put('W/"1"');
    assert.equal(done.status, 200);
    assert.equal(done.headers.get('etag'), 'W/"2"');
    assert.equal((await put('W/"1"')).status, 412);
    const first = await call('GET', `/fhir/Patient/${id}/_history/1`);
    assert.equal((first.json['name'] as JsonObject[])[0]?.['family'], 'Zhang');
    assert.equal((await call('GET', `/fhir/Patient/${id}/_history/3`)).status, 404);
    const same = await call('GET', `/fhir/Patient/${id}`, {
      headers: { 'if-none-match': 'W/"2"' },
    });
    assert.equal(same.status, 304);
  });

  it('offers nothing else', async () => {
    assert.equal((await call('DELETE', `/fhir/Patient/${zhang}`)).status, 405);
    assert.equal((await call('POST', '/fhir/Observation', { body: {} })).status, 405);
    assert.equal((await call('PUT', '/fhir/AuditEvent/x', { body: {} })).status, 405);
    assert.equal((await call('GET', '/fhir/Wombat')).status, 404);
    assert.equal((await call('GET', '/fhir/Image/x')).status, 404);
    assert.equal((await call('GET', '/fhir/Patient/a%2Fb')).status, 404);
    assert.equal((await call('GET', '/nothing')).status, 404);
  });

  it('lists in its metadata exactly the parameters that it answers', async () => {
    const { json } = await client(running)('GET', '/fhir/metadata');
    assert.deepEqual(validateFhir(json), []);
    const [rest] = json['rest'] as {
      resource: { type: string; searchParam: { name: string; type: string }[] }[];
    }[];
    const values: Record<string, string> = {
      date: '2020',
      token: 'x',
      string: 'x',
      reference: 'Patient/x',
    };
    for (const { type, searchParam } of rest?.resource ?? []) {
      for (const { name, type: kind } of searchParam) {
        const answer = await call('GET', `/fhir/${type}?${name}=${values[kind]}`, {
          headers: { prefer: 'handling=strict' },
        });
        assert.equal(answer.status, 200, `${type} ${name}`);
      }
      const unlisted = await call('GET', `/fhir/${type}?unlisted=1`, {
        headers: { prefer: 'handling=strict' },
      });
      assert.equal(unlisted.status, 400);
    }
  });

  it('does a message once', async () => {
    const encapsulation = random(32);
    const once = () => call('POST', '/fhir/Patient', { body: patient('MRN-R'), encapsulation });
    assert.equal((await once()).status, 201);
    const again = await once();
    assert.equal(again.status, 409);
    assert.equal(refusal(again), 'replayed');
  });
});

describe('the audit log', () => {
  it('has one valid event for each access, with who, what and whose', async () => {
    const running = await start();
    const call = await signIn(running, 'radiologist');
    const id = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-A') }));
    await call('GET', `/fhir/Patient/${id}`, { headers: { 'x-request-id': 'req-1' } });
    await call('GET', '/fhir/Patient?name=zhang');
    const answer = await call('GET', `/fhir/AuditEvent?patient=${id}&_sort=date`);
    const events = entries(answer);
    for (const event of events) assert.deepEqual(validateFhir(event), []);
    const codes = events.map((e) => (e['subtype'] as JsonObject[])[0]?.['code']);
    assert.deepEqual(new Set(codes), new Set(['create', 'read', 'search-type']));
    assert.equal(codes.length, 3);
    assert.ok(JSON.stringify(events).includes('req-1'));
    assert.ok(JSON.stringify(events).includes('Practitioner/'));
    const all = entries(await call('GET', '/fhir/AuditEvent?_count=100'));
    assert.ok(all.some((e) => (e['subtype'] as JsonObject[])[0]?.['code'] === '110122'));
    await running.close();
  });
});

describe('a full disk', () => {
  it('is a clear refusal, and nothing that was acknowledged is lost', async () => {
    const running = await start(undefined, { maxPages: 60 });
    const call = await signIn(running);
    const kept: string[] = [];
    let answer = await call('POST', '/fhir/Patient', { body: patient('F-0') });
    for (let i = 1; answer.status === 201; i++) {
      kept.push(idOf(answer));
      answer = await call('POST', '/fhir/Patient', { body: patient(`F-${i}`) });
    }
    assert.equal(answer.status, 507);
    assert.equal(refusal(answer), 'storage_full');
    assert.deepEqual(validateFhir(answer.json), []);
    await running.close();
    const again = await start(running.folder);
    const reader = await signIn(again);
    for (const id of kept) assert.equal((await reader('GET', `/fhir/Patient/${id}`)).status, 200);
    await again.close();
  });
});
