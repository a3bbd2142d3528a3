import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ReleasedSecret } from '@cloister/attestation';
import { currentVersion } from '@cloister/client';
import { CODE, createWorld, identityOf, random } from '../scene.test.ts';

const codeOf = (result: { ok: boolean; code?: string }) => (result.ok ? 'ok' : result.code);
const numbers = ({ versions }: ReleasedSecret) => versions.map(({ version }) => version);

describe('versions of a secret', () => {
  it('of the channel follow each other daily: the next one comes before it is used', async () => {
    const w = await createWorld();
    const fetch = async () => {
      const identity = await w.identity('records');
      const query = { name: 'channel-key', service: 'records', identity };
      const result = await w.client('hospital').fetchSecret(query);
      assert.ok(result.ok, JSON.stringify(result));
      return result.claims;
    };
    const first = await fetch();
    assert.deepEqual(numbers(first), [1]);
    w.pass(86_400 - 2 * 900 - 1);
    assert.deepEqual(numbers(await fetch()), [1]);
    w.pass(1);
    const both = await fetch();
    assert.deepEqual(numbers(both), [2, 1]);
    // Every replica has the next key by the time at which one of them shows it.
    assert.equal(currentVersion(both, w.at)?.version, 1);
    w.pass(2 * 900);
    assert.equal(currentVersion(await fetch(), w.at)?.version, 2);
    // What was sent to the old key just before is still opened for one lease, and then no more.
    assert.deepEqual(numbers(await fetch()), [2, 1]);
    w.pass(900);
    assert.deepEqual(numbers(await fetch()), [2]);
    const ids = both.versions.map(({ value }) => value[1]);
    assert.deepEqual(ids, [2, 1]);
    await w.close();
  });

  it('are replaced at once where a manifest narrows their service', async () => {
    const w = await createWorld();
    const fetch = async (name: string, mrenclave: string = CODE.records) => {
      const identity = await w.identity('records', { mrenclave });
      const query = { name, service: 'records', identity };
      return w.client('hospital').fetchSecret(query);
    };
    const values = async (name: string, mrenclave?: string) => {
      const result = await fetch(name, mrenclave);
      assert.ok(result.ok, JSON.stringify(result));
      return result.claims;
    };
    await values('tenant-key');
    await values('channel-key');
    const upgraded = 'a9'.repeat(32);
    const services = (...code: string[]) => ({
      ...(w.draft['services'] as object),
      records: { identity: { anyOf: [identityOf('records', ...code)] } },
    });
    // The new identity is admitted beside the old one: nothing is narrowed, both work.
    w.pass(60);
    await w.agree(w.next({ services: services(CODE.records, upgraded) }));
    assert.deepEqual(numbers(await values('tenant-key')), [1]);
    assert.deepEqual(numbers(await values('channel-key', upgraded)), [1]);
    // The old one is dropped: its keys are worth nothing from now on.
    w.pass(60);
    await w.agree(w.next({ services: services(upgraded) }));
    assert.equal(codeOf(await fetch('tenant-key')), 'measurement_not_agreed');
    const tenant = await values('tenant-key', upgraded);
    assert.deepEqual(numbers(tenant), [2, 1], 'the old one is needed to read what it sealed');
    assert.equal(currentVersion(tenant, w.at)?.version, 2);
    assert.deepEqual(numbers(await values('channel-key', upgraded)), [2]);
    await w.close();
  });

  it('are replaced and destroyed on the word of their party, and of nobody else', async () => {
    const w = await createWorld({}, 3);
    const client = w.client('hospital');
    const identity = await w.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    assert.ok((await client.fetchSecret(query)).ok);
    assert.equal(await client.replaceSecret('tenant-key', w.voice('hospital')), 2);
    const few = client.destroySecret('tenant-key', 1, w.voice('hospital', 1));
    await assert.rejects(few, /party_quorum_missing/);
    const others = client.destroySecret('tenant-key', 1, w.voice('diagnostics'));
    await assert.rejects(others, /statement_refused/);
    const newest = client.destroySecret('tenant-key', 2, w.voice('hospital', 2));
    await assert.rejects(newest, /version_unknown/);
    await client.destroySecret('tenant-key', 1, w.voice('hospital', 2));
    const left = await client.fetchSecret(query);
    assert.ok(left.ok);
    assert.deepEqual(numbers(left.claims), [2]);
    await w.close();
  });

  it('that were imported are marked as stale, until their owner imports another one', async () => {
    const w = await createWorld();
    const client = w.client('diagnostics');
    await client.importSecret('model-key', random(32), w.voice('diagnostics'));
    const services = {
      ...(w.draft['services'] as object),
      inference: { identity: { anyOf: [identityOf('inference', 'a8'.repeat(32))] } },
    };
    await w.agree(w.next({ services }));
    const stale = () =>
      w.running.get('diagnostics')?.broker.requireOpen().journal.state.secret('model-key').stale;
    assert.equal(stale(), true);
    await w.client('diagnostics').importSecret('model-key', random(32), w.voice('diagnostics'));
    assert.equal(stale(), false);
    await w.close();
  });

  it('are rotated and destroyed by the service that uses them, never the newest', async () => {
    const w = await createWorld();
    const identity = await w.identity('records');
    const signCall = { key: identity.sigKey.privateKey, token: () => identity.token() };
    const client = w.client('hospital', signCall);
    const query = { name: 'tenant-key', service: 'records', identity };
    const first = await client.fetchSecret(query);
    assert.ok(first.ok);
    w.pass(1);
    assert.equal(await client.rotateSecret('tenant-key'), 2);
    const second = await client.renewLease(query, first.claims);
    assert.ok(second.ok);
    assert.deepEqual(numbers(second.claims), [2, 1]);
    await client.destroyVersion('tenant-key', 1);
    const third = await client.renewLease(query, second.claims);
    assert.ok(third.ok);
    assert.deepEqual(numbers(third.claims), [2]);
    const { store } = w.running.get('hospital') ?? assert.fail();
    assert.deepEqual(await store.keys('secret/tenant-key/'), ['secret/tenant-key/2']);
    const refused = { name: 'ClientError', message: /version_unknown/ };
    await assert.rejects(client.destroyVersion('tenant-key', 2), refused);
    await assert.rejects(client.destroyVersion('tenant-key', 1), refused);
    await assert.rejects(w.client('hospital').rotateSecret('tenant-key'), /call_token_missing/);
    await w.close();
  });

  it('that a host changed, swapped or removed are not released', async () => {
    const w = await createWorld();
    const identity = await w.identity('records');
    const client = w.client('hospital');
    const query = { name: 'tenant-key', service: 'records', identity };
    assert.ok((await client.fetchSecret(query)).ok);
    assert.ok((await client.fetchSecret({ ...query, name: 'channel-key' })).ok);
    const { store } = w.running.get('hospital') ?? assert.fail();
    const [tenant, channel] = await Promise.all([
      store.value('secret/tenant-key/1'),
      store.value('secret/channel-key/1'),
    ]);
    for (const value of [channel.value, tenant.value?.map((byte) => byte ^ 1), undefined]) {
      const { version } = await store.value('secret/tenant-key/1');
      await store.commit({ values: [{ key: 'secret/tenant-key/1', version, value }] });
      const attempt = client.fetchSecret(query);
      await assert.rejects(attempt, { name: 'ClientError', code: 'unavailable', status: 503 });
    }
    await w.close();
  });
});
