import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import {
  client,
  type Client,
  entries,
  idOf,
  newFolder,
  patient,
  png,
  random,
  refusal,
  type Running,
  signIn,
  startOn,
  textOf,
} from '../tools/test-records.ts';
import { memoryServer } from '../tools/test-replicas.ts';

describe('two replicas of the service', () => {
  let one: Running;
  let two: Running;
  beforeEach(async () => {
    const server = memoryServer();
    const folder = newFolder();
    [one, two] = await Promise.all([
      startOn(server.connect(), folder, true),
      startOn(server.connect(), folder, true),
    ]);
  });
  afterEach(async () => {
    await one.close();
    await two.close();
  });
  /** The same person at the other replica. */
  async function signedInAtBoth(user?: string): Promise<[Client, Client, string]> {
    const { json } = await client(one)('POST', '/session', {
      body: JSON.stringify({ user: user ?? 'clerk', password: `${user ?? 'clerk'}-password` }),
    });
    const token = textOf(json['token']);
    return [client(one, token), client(two, token), token];
  }

  it('have one Device and one Practitioner for each account', async () => {
    assert.equal(one.deps.device, two.deps.device);
    assert.deepEqual(one.deps.practitioners, two.deps.practitioners);
    const call = await signIn(two);
    assert.equal(entries(await call('GET', '/fhir/Practitioner')).length, 2);
    assert.equal(entries(await call('GET', '/fhir/Device')).length, 1);
  });

  it('know who is signed in, and who is no longer', async () => {
    const [atOne, atTwo] = await signedInAtBoth();
    assert.equal((await atTwo('GET', '/fhir/Patient')).status, 200);
    assert.equal((await atTwo('DELETE', '/session')).status, 204);
    assert.equal((await atOne('GET', '/fhir/Patient')).status, 401);
  });

  it('keep a session alive by what is done at either of them', async () => {
    const [atOne, atTwo] = await signedInAtBoth();
    for (let i = 0; i < 4; i++) {
      for (const replica of [one, two]) replica.at = new Date(replica.at.getTime() + 10 * 60_000);
      assert.equal((await (i % 2 === 0 ? atOne : atTwo)('GET', '/fhir/Patient')).status, 200);
    }
    for (const replica of [one, two]) replica.at = new Date(replica.at.getTime() + 16 * 60_000);
    assert.equal((await atOne('GET', '/fhir/Patient')).status, 401);
    assert.equal((await atTwo('GET', '/fhir/Patient')).status, 401);
  });

  it('keep no token: only its hash is in the log', async () => {
    const [, , token] = await signedInAtBoth();
    assert.equal(one.deps.ledger.directory.sessions.size, 1);
    assert.equal(one.deps.ledger.directory.sessions.get(token), undefined);
  });

  it('show at once what was acknowledged by the other', async () => {
    const [atOne, atTwo] = await signedInAtBoth();
    for (let i = 0; i < 20; i++) {
      const id = idOf(await atOne('POST', '/fhir/Patient', { body: patient(`MRN-${i}`) }));
      assert.equal((await atTwo('GET', `/fhir/Patient/${id}`)).status, 200);
      assert.equal(entries(await atTwo('GET', `/fhir/Patient?identifier=MRN-${i}`)).length, 1);
    }
  });

  it('refuse the same identifier, and the same message', async () => {
    const [atOne, atTwo] = await signedInAtBoth();
    const answers = await Promise.all(
      [atOne, atTwo].map((call) => call('POST', '/fhir/Patient', { body: patient('MRN-1') })),
    );
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [201, 409],
    );
    const encapsulation = random(32);
    const again = await Promise.all(
      [atOne, atTwo].map((call) =>
        call('POST', '/fhir/Patient', { body: patient('MRN-2'), encapsulation }),
      ),
    );
    const refused = again.find(({ status }) => status !== 201);
    assert.equal(again.filter(({ status }) => status === 201).length, 1);
    assert.ok(refused !== undefined && refusal(refused) === 'replayed');
  });

  it('give the next page of a search that the other began', async () => {
    const [atOne, atTwo] = await signedInAtBoth();
    for (const mrn of ['a', 'b', 'c']) await atOne('POST', '/fhir/Patient', { body: patient(mrn) });
    const first = await atOne('GET', '/fhir/Patient?_count=2');
    const links = first.json['link'] as { relation: string; url: string }[];
    const next = links.find(({ relation }) => relation === 'next')?.url ?? '';
    assert.equal(entries(await atTwo('GET', next.replace('https://records', ''))).length, 1);
  });

  it('show images that the other stored, and store the same one once', async () => {
    const [atOne, atTwo] = await signedInAtBoth();
    const who = idOf(await atOne('POST', '/fhir/Patient', { body: patient('MRN-1') }));
    const upload = (call: Client) =>
      call('POST', `/images?patient=${who}`, {
        body: png(20, 20),
        headers: { 'content-type': 'image/png' },
      });
    const both = await Promise.all([upload(atOne), upload(atTwo)]);
    for (const { status } of both) assert.equal(status, 201);
    assert.equal(both[0]?.json['imagingStudy'], both[1]?.json['imagingStudy']);
    assert.equal(entries(await atOne('GET', '/fhir/ImagingStudy')).length, 1);
    for (const { json } of both) {
      const study = textOf(json['imagingStudy']).replace('ImagingStudy/', '');
      for (const call of [atOne, atTwo])
        assert.equal((await call('GET', `/images/${study}/rendered`)).status, 200);
    }
  });

  it('tell a reader who waits at one of them what the other wrote, within a second', async () => {
    const [, atTwo] = await signedInAtBoth();
    const waiting = atTwo('GET', '/events?cursor=0&wait=25');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const content: JsonObject = { t: 'Task/1', v: '1', k: 'failed' };
    const started = performance.now();
    await one.deps.ledger.commit([{ type: 'Event', id: 'event', content }]);
    const answer = await waiting;
    assert.ok(performance.now() - started < 1000);
    assert.match(Buffer.from(answer.bytes).toString(), /^id: 1\nevent: resource\n/);
  });
});
