import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { CounterReceipt } from '@cloister/attestation';
import type { ServiceIdentity } from '@cloister/attester';
import type { BrokerClient } from '@cloister/client';
import { createWorld, type ServiceName, type World } from './scene.test.ts';

const NAME = 'records-log';
const digest = (n: number) => n.toString(16).padStart(2, '0').repeat(32);
let world: World;
before(async () => {
  world = await createWorld({}, 3);
});
after(() => world.close());

async function callerOf(service: ServiceName): Promise<BrokerClient> {
  const identity: ServiceIdentity = await world.identity(service);
  const signCall = { key: identity.sigKey.privateKey, token: () => identity.token() };
  return world.client('hospital', signCall);
}
const codeOf = (result: { ok: boolean; code?: string }) => (result.ok ? 'ok' : result.code);
async function value(): Promise<number> {
  const result = await world.client('hospital').readCounter(NAME);
  assert.ok(result.ok, JSON.stringify(result));
  return result.claims.value;
}

describe('counters', () => {
  it('begin at zero, and move with signed receipts', async () => {
    const client = await callerOf('records');
    const start = await client.readCounter(NAME);
    assert.ok(start.ok, JSON.stringify(start));
    assert.equal(start.claims.value, 0);
    assert.equal(start.claims.digest, digest(0));
    const moved = await client.advanceCounter(NAME, { expected: 0, next: 5, digest: digest(5) });
    assert.ok(moved.ok, JSON.stringify(moved));
    assert.equal(moved.claims.value, 5);
    assert.equal(moved.claims.digest, digest(5));
    assert.equal(moved.claims.manifest, world.manifest.id);
    assert.equal(await value(), 5);
  });

  it('let one of two replicas win, and tell the other where they stand', async () => {
    const [one, two] = await Promise.all([callerOf('records'), callerOf('records')]);
    const at = await value();
    const conflicts: CounterReceipt[] = [];
    const move = (client: BrokerClient, n: number) =>
      client.advanceCounter(NAME, { expected: at, next: at + n, digest: digest(n) }, (where) =>
        conflicts.push(where),
      );
    const results = await Promise.all([move(one, 1), move(two, 2)]);
    const won = results.filter(({ ok }) => ok);
    assert.equal(won.length, 1);
    assert.deepEqual(results.filter(({ ok }) => !ok).map(codeOf), ['counter_conflict']);
    const [winner] = won;
    assert.ok(winner?.ok);
    assert.equal(conflicts.length, 1);
    assert.equal(conflicts[0]?.value, winner.claims.value);
    assert.equal(await value(), winner.claims.value);
  });

  it('give the receipt again to who repeats a move that succeeded', async () => {
    const client = await callerOf('records');
    const at = await value();
    const move = { expected: at, next: at + 1, digest: digest(7) };
    assert.ok((await client.advanceCounter(NAME, move)).ok);
    const size = world.running.get('hospital')?.broker.requireOpen().journal.tree.size;
    assert.ok((await client.advanceCounter(NAME, move)).ok);
    assert.equal(world.running.get('hospital')?.broker.requireOpen().journal.tree.size, size);
    const other = { ...move, digest: digest(8) };
    assert.equal(codeOf(await client.advanceCounter(NAME, other)), 'counter_conflict');
  });

  it('never go back', async () => {
    const client = await callerOf('records');
    const at = await value();
    for (const next of [at, at - 1, 0]) {
      const move = { expected: at, next, digest: digest(1) };
      assert.equal(codeOf(await client.advanceCounter(NAME, move)), 'counter_not_increasing');
    }
    const stale = { expected: at - 1, next: at + 1, digest: digest(1) };
    assert.equal(codeOf(await client.advanceCounter(NAME, stale)), 'counter_conflict');
    assert.equal(await value(), at);
  });

  it('are moved by the services of the manifest only, which prove themselves', async () => {
    const move = { expected: await value(), next: 1000, digest: digest(1) };
    const other = await callerOf('inference');
    assert.equal(codeOf(await other.advanceCounter(NAME, move)), 'measurement_not_agreed');
    const nobody = world.client('hospital');
    assert.equal(codeOf(await nobody.advanceCounter(NAME, move)), 'call_token_missing');
    // A token is public: who has only that, has nothing (rule 4).
    const [owner, thief] = [await world.identity('records'), await world.identity('records')];
    const stolen = { key: thief.sigKey.privateKey, token: () => owner.token() };
    const bearer = world.client('hospital', stolen);
    assert.equal(codeOf(await bearer.advanceCounter(NAME, move)), 'call_signature');
    const unlisted = await callerOf('records');
    assert.equal(codeOf(await unlisted.advanceCounter('other-log', move)), 'counter_unknown');
    assert.equal(codeOf(await world.client('hospital').readCounter('none')), 'counter_unknown');
    assert.equal(codeOf(await world.client('diagnostics').readCounter(NAME)), 'counter_unknown');
  });

  it('are read over a nonce of the asker: an old receipt is none', async () => {
    // The host keeps an answer and gives it again: the channel and the nonce both notice.
    const client = world.client('hospital');
    const first = await client.readCounter(NAME);
    const second = await client.readCounter(NAME);
    assert.ok(first.ok && second.ok);
    assert.notDeepEqual(first.claims.nonce, second.claims.nonce);
  });

  it('keep their place over a restart', async () => {
    const at = await value();
    await world.running.get('hospital')?.stop();
    await world.start('hospital');
    await world.tick();
    assert.equal(await value(), at);
  });

  it('are set by the quorum of the party alone, and the log says who and why', async () => {
    const client = world.client('hospital');
    const from = await value();
    const reset = { from, value: 3, digest: digest(3), reason: 'backup of Tuesday restored' };
    const one = client.resetCounter(NAME, reset, world.voice('hospital', 1));
    await assert.rejects(one, /party_quorum_missing/);
    const { keys } = world.voice('hospital', 1);
    const [key] = keys;
    assert.ok(key);
    const twice = client.resetCounter(NAME, reset, { party: 'hospital', keys: [key, key] });
    await assert.rejects(twice, /party_quorum_missing/);
    const others = client.resetCounter(NAME, reset, world.voice('diagnostics'));
    await assert.rejects(others, /statement_refused/);
    assert.equal(await value(), from);
    await client.resetCounter(NAME, reset, world.voice('hospital', 2));
    assert.equal(await value(), 3);
    const { broker } = world.running.get('hospital') ?? assert.fail();
    const { size } = broker.requireOpen().journal.tree;
    const [entry] = await broker.entries(size - 1, size);
    const event = JSON.parse(new TextDecoder().decode(entry)) as { signers: string[] };
    assert.equal(event.signers.length, 2);
    assert.deepEqual(
      { ...event, signers: [], at: 0 },
      {
        event: 'counter-reset',
        at: 0,
        name: NAME,
        from,
        value: 3,
        digest: digest(3),
        reason: reset.reason,
        signers: [],
      },
    );
    const stale = client.resetCounter(NAME, reset, world.voice('hospital', 2));
    await assert.rejects(stale, /counter_conflict/);
  });
});
