import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { validateFhir } from '@cloister/clinical';
import { createMemoryCache } from '@cloister/service';
import {
  type Answer,
  type Client,
  idOf,
  patient,
  png,
  random,
  refusal,
  type Running,
  signIn,
  start,
  textOf,
} from '../tools/test-records.ts';
import { createApp } from './app.ts';

const CANARY = 'CANARY-Kovalenko';
const PNG = png(80, 80);

const filesIn = ({ folder }: Running) =>
  readdirSync(join(folder, 'blobs'), { recursive: true }).length;

describe('images', () => {
  let running: Running;
  let call: Client;
  let id: string;
  before(async () => {
    running = await start();
    call = await signIn(running);
    id = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-I') }));
  });
  after(() => running.close());
  const upload = (body: Uint8Array, type = 'image/png', to = id) =>
    call('POST', `/images?patient=${to}`, { body, headers: { 'content-type': type } });

  it('finds a rendered image again in the cache, and not after the study changed', async () => {
    const names: string[] = [];
    const memory = createMemoryCache({ now: running.deps.now });
    const cache = {
      ...memory,
      set: async (...args: Parameters<typeof memory.set>) => {
        names.push(args[0]);
        await memory.set(...args);
      },
    };
    const cached = { ...running, app: createApp({ ...running.deps, cache }) };
    const ask = await signIn(cached);
    const { json } = await ask('POST', `/images?patient=${id}`, {
      body: png(90, 90),
      headers: { 'content-type': 'image/png' },
    });
    const study = textOf(json['imagingStudy']).split('/')[1] ?? '';
    const first = await ask('GET', `/images/${study}/rendered`);
    const second = await ask('GET', `/images/${study}/rendered`);
    assert.deepEqual(second.bytes, first.bytes);
    assert.equal(names.length, 1);
    assert.match(names[0] ?? '', new RegExp(`^rendered/${study}/\\d+$`));
  });

  it('stores a PNG as a study and renders it', async () => {
    const answer = await upload(PNG);
    assert.equal(answer.status, 201);
    assert.equal(answer.json['mismatch'], undefined);
    const reference = textOf(answer.json['imagingStudy']);
    const study = await call('GET', `/fhir/${reference}`);
    assert.deepEqual(validateFhir(study.json), []);
    assert.deepEqual(study.json['subject'], { reference: `Patient/${id}` });
    const rendered = await call('GET', `/images/${reference.split('/')[1]}/rendered`);
    assert.equal(rendered.status, 200);
    assert.equal(rendered.headers.get('content-type'), 'image/png');
    assert.deepEqual([...rendered.bytes.subarray(1, 4)], [0x50, 0x4e, 0x47]);
    assert.equal(
      (await call('GET', `/images/${reference.split('/')[1]}/heatmap?observation=x`)).status,
      404,
    );
  });

  it('refuses what it cannot use, and leaves no file behind', async () => {
    const stored = filesIn(running);
    assert.equal((await upload(PNG, 'image/jpeg')).status, 422);
    assert.equal((await upload(PNG, 'text/plain')).status, 415);
    assert.equal((await upload(PNG.subarray(0, 60))).status, 422);
    assert.equal((await upload(random(500), 'application/dicom')).status, 422);
    assert.equal((await upload(PNG, 'image/png', 'nobody')).status, 404);
    assert.equal((await upload(new Uint8Array((32 << 20) + 1))).status, 413);
    assert.equal(filesIn(running), stored);
  });

  it('shows no image whose file was changed or is gone', async () => {
    const study = textOf((await upload(png(70, 70))).json['imagingStudy']).split('/')[1];
    const newest = readdirSync(join(running.folder, 'blobs'), { recursive: true })
      .map((name) => join(running.folder, 'blobs', String(name)))
      .filter((name) => statSync(name).isFile())
      .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
    assert.ok(newest);
    const bytes = readFileSync(newest);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(newest, bytes);
    const changed = await call('GET', `/images/${study}/rendered`);
    assert.equal(changed.status, 500);
    assert.equal(refusal(changed), 'record_tampered');
    rmSync(newest);
    assert.equal(refusal(await call('GET', `/images/${study}/rendered`)), 'record_tampered');
  });

  it('orders an opinion on a study of the right patient only', async () => {
    const reference = textOf((await upload(png(90, 90))).json['imagingStudy']);
    const other = idOf(await call('POST', '/fhir/Patient', { body: patient('MRN-J') }));
    const task = (change: JsonObject = {}): JsonObject => ({
      resourceType: 'Task',
      status: 'requested',
      intent: 'order',
      code: { coding: [{ system: 'urn:cloister:task', code: 'ai-inference' }] },
      focus: { reference },
      for: { reference: `Patient/${id}` },
      ...change,
    });
    const send = (change?: JsonObject) => call('POST', '/fhir/Task', { body: task(change) });
    const made = await send();
    assert.equal(made.status, 201);
    assert.deepEqual(validateFhir(made.json), []);
    assert.deepEqual(running.tasks, [idOf(made)]);
    assert.equal((await send({ for: { reference: `Patient/${other}` } })).status, 422);
    assert.equal((await send({ focus: { reference: 'ImagingStudy/none' } })).status, 422);
    assert.equal((await send({ status: 'completed' })).status, 422);
    assert.equal((await send({ code: { text: 'something' } })).status, 422);
    assert.equal(running.tasks.length, 1);
  });
});

describe('a canary', () => {
  it('is nowhere outside the channel: not in the database, the blobs, the log, the refusals', async () => {
    const running = await start();
    const call = await signIn(running);
    const answers: Answer[] = [];
    const created = await call('POST', '/fhir/Patient', { body: patient(`${CANARY}-mrn`, CANARY) });
    const id = idOf(created);
    await call('GET', `/fhir/Patient?name=${CANARY}`);
    await call('POST', `/images?patient=${id}`, {
      body: PNG,
      headers: { 'content-type': 'image/png' },
    });
    answers.push(
      await call('POST', '/fhir/Patient', { body: patient(`${CANARY}-mrn`, CANARY) }),
      await call('POST', '/fhir/Patient', { body: { ...patient('x', CANARY), birthDate: CANARY } }),
      await call('POST', '/fhir/Patient', {
        body: `{"resourceType": ${CANARY}`,
        headers: { 'content-type': 'application/fhir+json' },
      }),
      await call('POST', '/fhir/Patient', { body: { resourceType: CANARY } }),
      await call('GET', `/fhir/Patient/${CANARY}`),
      await call('GET', `/fhir/${CANARY}`),
      await call('GET', `/${CANARY}`),
      await call('GET', `/fhir/Patient?birthdate=${CANARY}`),
      await call('GET', `/fhir/Patient?${CANARY}=1`, { headers: { prefer: 'handling=strict' } }),
      await call('GET', `/fhir/Patient?_sort=${CANARY}`),
      await call('POST', `/images?patient=${CANARY}`, {
        body: PNG,
        headers: { 'content-type': 'image/png' },
      }),
      await call('POST', '/session', { body: JSON.stringify({ user: CANARY, password: CANARY }) }),
    );
    const found = Buffer.from(JSON.stringify(created.json)).includes(CANARY);
    assert.equal(found, true);
    for (const { bytes } of answers)
      assert.equal(Buffer.from(bytes).includes(CANARY), false, Buffer.from(bytes).toString());
    assert.equal(running.lines.join('').includes(CANARY), false);
    const look = () => {
      for (const name of readdirSync(running.folder, { recursive: true })) {
        assert.equal(String(name).includes(CANARY), false);
        const path = join(running.folder, String(name));
        if (statSync(path).isFile()) assert.equal(readFileSync(path).includes(CANARY), false, path);
      }
    };
    look();
    await running.close();
    look();
  });
});
