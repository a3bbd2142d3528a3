import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { client, type Running, signIn, start, textOf } from '../tools/test-records.ts';

describe('signing in', () => {
  let running: Running;
  before(async () => {
    running = await start();
  });
  after(() => running.close());

  it('gives a token that opens the rest', async () => {
    const anonymous = client(running);
    assert.equal((await anonymous('GET', '/fhir/Patient')).status, 401);
    const { json } = await anonymous('POST', '/session', {
      body: JSON.stringify({ user: 'radiologist', password: 'radiologist-password' }),
    });
    assert.match(textOf((json['user'] as JsonObject)['practitioner']), /^Practitioner\//);
    assert.equal((json['user'] as JsonObject)['role'], 'radiologist');
    assert.equal(
      (await client(running, textOf(json['token']))('GET', '/fhir/Patient')).status,
      200,
    );
  });

  it('refuses a wrong password, an unknown user and other tokens alike', async () => {
    const tries = [
      { user: 'clerk', password: 'wrong' },
      { user: 'nobody', password: 'wrong' },
    ];
    for (const body of tries) {
      const answer = await client(running)('POST', '/session', { body: JSON.stringify(body) });
      assert.equal(answer.status, 401);
      assert.equal(answer.json['type'], 'urn:cloister:wrong_password');
    }
    for (const token of ['x', 'A'.repeat(43)])
      assert.equal((await client(running, token)('GET', '/fhir/Patient')).status, 401);
  });

  it('slows down guessing', async () => {
    const body = JSON.stringify({ user: 'guessed', password: 'x' });
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++)
      statuses.push((await client(running)('POST', '/session', { body })).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  });

  it('ends a session that is idle, one that is old, and one that was signed out', async () => {
    const idle = await signIn(running);
    running.at = new Date(running.at.getTime() + 14 * 60_000);
    assert.equal((await idle('GET', '/fhir/Patient')).status, 200);
    // A page that only asks for events is idle.
    running.at = new Date(running.at.getTime() + 14 * 60_000);
    assert.equal((await idle('GET', '/events?cursor=0')).status, 200);
    running.at = new Date(running.at.getTime() + 14 * 60_000);
    assert.equal((await idle('GET', '/fhir/Patient')).status, 401);
    const old = await signIn(running);
    for (let i = 0; i < 72; i++) {
      running.at = new Date(running.at.getTime() + 10 * 60_000);
      await old('GET', '/fhir/metadata');
      await old('GET', '/fhir/Patient?_count=0');
    }
    assert.equal((await old('GET', '/fhir/Patient')).status, 401);
    const left = await signIn(running);
    assert.equal((await left('DELETE', '/session')).status, 204);
    assert.equal((await left('GET', '/fhir/Patient')).status, 401);
  });
});
