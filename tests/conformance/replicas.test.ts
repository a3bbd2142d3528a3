import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { VerifiedPeer } from '@cloister/attestation';
import { asBytes, type JsonObject, parseJsonObject } from '@cloister/bytes';
import { ChannelError, type Fetch } from '@cloister/channel';
import { createRecordsClient } from '@cloister/client';
import { drawPhantom } from '../../apps/cli/src/demo/phantom.ts';
import { postgresMissing } from '../../packages/service/src/store/postgres-server.test.ts';
import { Caller, EventReader, type Replica, type Scene, startScene } from './replicas-scene.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const patient = (mrn: string, family = 'Load'): JsonObject => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:cloister:mrn', value: mrn }],
  name: [{ family, given: [mrn] }],
});
const mrnOf = ({ identifier }: JsonObject): unknown =>
  (identifier as JsonObject[] | undefined)?.[0]?.['value'];

/** Sends a message to a replica first, and gives the answer to its copy at another. */
function copied(scene: Scene, first: Replica, second: () => Promise<Replica>): Fetch {
  return async (request) => {
    const body = asBytes(await request.bytes());
    const { headers } = request;
    const send = (url: string): Promise<Response> =>
      scene.transport(
        new Request(`${url}/.well-known/ohttp-gateway`, { method: 'POST', headers, body }),
      );
    assert.equal((await send(first.url)).status, 200);
    return send((await second()).url);
  };
}
const idOf = ({ id }: JsonObject): string => (typeof id === 'string' ? id : '');

describe('two replicas of records over one PostgreSQL', { skip: postgresMissing }, () => {
  let scene: Scene;
  let replicas: Replica[];
  let peer: VerifiedPeer;
  let token: string;
  const direct = (replica: Replica | undefined, transport?: Fetch): Fetch =>
    scene.channel(peer, replica?.url ?? '', transport);
  const useBalancer = (): void => {
    scene.balancer.replicas = replicas.map(({ port }) => port);
  };

  before(async () => {
    scene = await startScene();
    replicas = await Promise.all(['one', 'two'].map((name) => scene.startReplica(name)));
    useBalancer();
    peer = await scene.verify(scene.url);
    const [account] = scene.deployment.accounts;
    const records = createRecordsClient(scene.channel(peer, scene.url));
    ({ token } = await records.signIn(account?.user ?? '', account?.password ?? ''));
  });
  after(() => scene.stop());

  it('have the same channel key, and each opens what was sealed to the other', async () => {
    const peers = await Promise.all(replicas.map(({ url }) => scene.verify(url)));
    assert.deepEqual(peers[0]?.ohttp, peers[1]?.ohttp);
    assert.notDeepEqual(peers[0]?.sig, peers[1]?.sig, 'they are two');
    for (const one of peers)
      for (const { url } of replicas) {
        const caller = new Caller(scene.channel(one, url), token);
        assert.equal((await caller.call('GET', '/fhir/Patient?_summary=count')).status, 200);
      }
  });

  it('refuse a message that another replica has done, and after a restart too', async () => {
    const [one, two] = replicas;
    assert.ok(one && two);
    const post = async (mrn: string, by: Fetch): Promise<{ status: number; text: string }> => {
      const answer = await direct(
        one,
        by,
      )(
        new Request('https://records/fhir/Patient', {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/fhir+json',
          },
          body: JSON.stringify(patient(mrn, 'Replay')),
        }),
      );
      return { status: answer.status, text: await answer.text() };
    };
    const atTheOther = await post(
      'REPLAY-1',
      copied(scene, one, () => Promise.resolve(two)),
    );
    assert.equal(atTheOther.status, 409);
    assert.match(atTheOther.text, /replayed/);
    const afterRestart = await post(
      'REPLAY-2',
      copied(scene, one, async () => {
        await one.kill();
        replicas[0] = await scene.startReplica('one');
        useBalancer();
        return replicas[0];
      }),
    );
    assert.equal(afterRestart.status, 409);
    assert.match(afterRestart.text, /replayed/);
    const caller = new Caller(direct(two), token);
    for (const mrn of ['REPLAY-1', 'REPLAY-2']) {
      const found = await caller.call('GET', `/fhir/Patient?identifier=${mrn}&_summary=count`);
      assert.equal(found.json['total'], 1, 'the first was done, and it alone');
    }
  });

  it('one killed under load: no acknowledged write is lost, no request fails twice', async (t) => {
    const caller = new Caller(scene.channel(peer, scene.url), token);
    const acknowledged = new Map<string, string>();
    const load = { on: true };
    const work = async (worker: number): Promise<void> => {
      for (let i = 0; load.on; i++) {
        const mrn = `LOAD-${worker}-${i}`;
        // Where it is asked for twice, it is created once.
        const headers = { 'if-none-exist': `identifier=urn:cloister:mrn|${mrn}` };
        const created = await caller.call('POST', '/fhir/Patient', { body: patient(mrn), headers });
        assert.ok([200, 201].includes(created.status), `create: ${created.status}`);
        const id = idOf(created.json);
        acknowledged.set(mrn, id);
        const read = await caller.call('GET', `/fhir/Patient/${id}`);
        assert.equal(read.status, 200, 'what was acknowledged is there at once');
        assert.equal(mrnOf(read.json), mrn);
      }
    };
    const workers = Array.from({ length: 12 }, (_, n) => work(n));
    await sleep(2500);
    const atFirst = acknowledged.size;
    await replicas[0]?.kill();
    await sleep(3000);
    const between = acknowledged.size;
    assert.ok(between > atFirst, 'the other one goes on');
    replicas[0] = await scene.startReplica('one');
    useBalancer();
    await sleep(1500);
    await replicas[1]?.kill();
    await sleep(2500);
    assert.ok(acknowledged.size > between, 'the restarted one goes on');
    load.on = false;
    await Promise.all(workers);
    t.diagnostic(`${acknowledged.size} patients, ${caller.retried} requests were asked again`);
    assert.ok(scene.balancer.broken > 0, 'connections broke');

    // A third one reads and checks the whole log, and has all of it.
    replicas[1] = await scene.startReplica('two');
    useBalancer();
    const reader = new Caller(direct(replicas[1]), token);
    const { json } = await reader.call('GET', '/fhir/Patient?name=Load&_summary=count');
    assert.equal(json['total'], acknowledged.size, 'none is lost, none is there twice');
    const left = [...acknowledged];
    const readers = Array.from({ length: 8 }, async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [mrn, id] = next;
        assert.equal(mrnOf((await reader.call('GET', `/fhir/Patient/${id}`)).json), mrn);
      }
    });
    await Promise.all(readers);
  });

  it('stream events through the channel, and go on at the other when one is killed', async () => {
    const [one, two] = replicas;
    assert.ok(one && two);
    const listen = async (replica: Replica, cursor: number): Promise<EventReader> => {
      const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' };
      const url = `https://records/events?cursor=${cursor}`;
      return new EventReader(await direct(replica)(new Request(url, { headers })));
    };
    const [account] = scene.deployment.accounts;
    const records = createRecordsClient(direct(two));
    await records.signIn(account?.user ?? '', account?.password ?? '');
    const person = {
      family: 'Stream',
      given: 'A',
      gender: 'other',
      birthDate: '2000-01-01',
    } as const;
    const { id: who } = await records.createPatient({ ...person, mrn: 'STREAM-1' });
    const { study } = await records.uploadImage(who, drawPhantom(), 'image/png');

    const reader = await listen(one, 0);
    const first = await records.requestDiagnosis(study, who);
    await reader.until(({ t, k }) => t === `Task/${first.id}` && k === 'ready-for-review');
    assert.deepEqual(
      reader.ids,
      reader.ids.map((_, i) => i + 1),
    );
    await one.kill();
    await assert.rejects(
      reader.until(() => false),
      ChannelError,
      'that it was cut off is noticed',
    );
    const onward = await listen(two, reader.ids.at(-1) ?? 0);
    const second = await records.requestDiagnosis(study, who);
    await onward.until(({ t, k }) => t === `Task/${second.id}` && k === 'ready-for-review');
    assert.equal(
      onward.ids[0],
      (reader.ids.at(-1) ?? 0) + 1,
      'no event is missed, none comes twice',
    );
    await onward.cancel();
    replicas[0] = await scene.startReplica('one');
    useBalancer();
  });

  it('finish the AI jobs of one that was killed, each once', { timeout: 90_000 }, async () => {
    const [one, two] = replicas;
    assert.ok(one && two);
    const [account] = scene.deployment.accounts;
    const [first, second] = [createRecordsClient(direct(one)), createRecordsClient(direct(two))];
    for (const client of [first, second])
      await client.signIn(account?.user ?? '', account?.password ?? '');
    const { id: who } = await first.createPatient({
      family: 'Job',
      given: 'Taken over',
      gender: 'other',
      birthDate: '2000-01-01',
      mrn: 'JOB-1',
    });
    const { study } = await first.uploadImage(who, drawPhantom(), 'image/png');
    const tasks = [];
    for (let i = 0; i < 3; i++) tasks.push((await first.requestDiagnosis(study, who)).id);
    await one.kill();
    scene.balancer.replicas = [two.port];
    const deadline = Date.now() + 60_000;
    for (const task of tasks) {
      while (!['completed', 'failed', 'rejected'].includes((await second.readTask(task)).status)) {
        assert.ok(Date.now() < deadline, 'the job was not taken over');
        await sleep(300);
      }
      assert.equal((await second.readTask(task)).status, 'completed');
    }
    assert.equal((await second.reportsOf(who)).length, 3);
    const { events } = await second.events(0, 0);
    for (const task of tasks) {
      const told = events.filter(
        ({ target, kind }) => target === `Task/${task}` && kind === 'ready-for-review',
      );
      assert.equal(told.length, 1);
    }
    replicas[0] = await scene.startReplica('one');
    useBalancer();
  });

  it('wait for a database server that starts again, and lose nothing', async () => {
    const caller = new Caller(scene.channel(peer, scene.url), token);
    // As a power cut of the database.
    scene.postgres.stop();
    const waiting = caller.call('POST', '/fhir/Patient', { body: patient('DB-1') });
    await sleep(500);
    scene.postgres.start();
    const { status, json } = await waiting;
    assert.ok(status === 201 || status === 503, String(status));
    if (status === 201)
      for (const replica of replicas) {
        const read = await new Caller(direct(replica), token).call(
          'GET',
          `/fhir/Patient/${idOf(json)}`,
        );
        assert.equal(read.status, 200);
      }
    for (const replica of replicas) {
      const ready = await scene.transport(new Request(`${replica.url}/health/ready`));
      assert.equal(parseJsonObject(await ready.text())['ready'], true);
    }
  });
});
