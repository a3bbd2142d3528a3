import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeBase64url } from '@cloister/bytes';
import { createWorld, random, type RunningBroker, type World } from '../scene.test.ts';

const hospitalOf = (world: World): RunningBroker => world.running.get('hospital') ?? assert.fail();

/** Something happens in a broker, and its witness hears of it. */
async function grow(world: World): Promise<void> {
  const identity = await world.identity('records');
  const query = { name: 'tenant-key', service: 'records', identity };
  const result = await world.client('hospital').fetchSecret(query);
  assert.ok(result.ok, JSON.stringify(result));
  world.pass(61);
  await world.tick();
}

async function asks(world: World): Promise<string> {
  const identity = await world.identity('records');
  try {
    const query = { name: 'tenant-key', service: 'records', identity };
    const result = await world.client('hospital').fetchSecret(query);
    return result.ok ? 'released' : result.code;
  } catch (error) {
    const [issue] = (error as { issues?: { code: string }[] }).issues ?? [];
    return issue?.code ?? String(error);
  }
}

describe('a broker that was restored from an old disk', () => {
  it('serves nothing behind its witness, says so, and signs no head', async () => {
    const world = await createWorld();
    const old = world.backup('hospital', 'monday');
    await grow(world);
    await hospitalOf(world).stop();
    const restored = await world.start('hospital', { folder: old });
    assert.equal(restored.broker.phase, 'awaiting-witness');
    assert.equal(await asks(world), 'awaiting_witness');
    await world.tick();
    assert.equal(restored.broker.phase, 'behind-witness');
    assert.equal(await asks(world), 'behind_witness');
    assert.equal(await restored.broker.issueHead(), undefined);
    for (const path of ['/v1/head', '/v1/log/sth'])
      assert.equal((await restored.app.request(path)).status, 503, path);
    const ready = await restored.app.request('/health/ready');
    assert.deepEqual(await ready.json(), { ready: false, parts: { 'behind-witness': true } });
    // What it is can still be asked.
    assert.equal((await restored.app.request('/v1/quote')).status, 200);
    await world.close();
  });

  it('serves again on the word of its party, by more than half of its keys, on the record', async () => {
    const world = await createWorld({}, 3);
    const old = world.backup('hospital', 'monday');
    await grow(world);
    await hospitalOf(world).stop();
    const restored = await world.start('hospital', { folder: old });
    await world.tick();
    const client = world.client('hospital');
    const few = client.overrideWitness('disk lost', world.voice('hospital', 1));
    await assert.rejects(few, /party_quorum_missing/);
    const others = client.overrideWitness('disk lost', world.voice('diagnostics'));
    await assert.rejects(others, /statement_refused/);
    assert.equal(restored.broker.phase, 'behind-witness');
    await client.overrideWitness('disk lost', world.voice('hospital', 2));
    assert.equal(restored.broker.phase, 'active');
    assert.equal(await asks(world), 'released');
    // The witness took it, and holds the broker to its new branch from now on.
    world.pass(61);
    await world.tick();
    assert.equal(restored.broker.phase, 'active');
    const again = world.backup('hospital', 'unused');
    assert.ok(again);
    await restored.stop();
    const back = await world.start('hospital', { folder: old });
    await world.tick();
    assert.equal(back.broker.phase, 'active', 'the same disk, where it went on');
    await world.close();
  });

  it('cannot be overridden twice by one statement: it names what is given up', async () => {
    const world = await createWorld();
    const old = world.backup('hospital', 'monday');
    const twice = world.backup('hospital', 'monday-again');
    await grow(world);
    await hospitalOf(world).stop();
    await world.start('hospital', { folder: old });
    await world.tick();
    let statements: unknown;
    const spying = async (request: Request): Promise<Response> => {
      if (new URL(request.url).pathname === '/v1/witness') {
        const body = (await request.clone().json()) as { override?: unknown };
        statements = body.override ?? statements;
      }
      return world.transport(request);
    };
    await hospitalOf(world).stop();
    const first = await world.start('hospital', { folder: old, transport: spying });
    await world.tick();
    await world.client('hospital').overrideWitness('disk lost', world.voice('hospital'));
    assert.equal(first.broker.phase, 'active');
    assert.ok(Array.isArray(statements));
    await first.stop();
    // The host puts the old disk back once more, and gives the witness what it heard before.
    const replaying = async (request: Request): Promise<Response> => {
      const url = new URL(request.url);
      if (url.pathname !== '/v1/witness') return world.transport(request);
      const body = (await request.json()) as Record<string, unknown>;
      const changed = 'head' in body ? { ...body, override: statements } : body;
      return world.transport(
        new Request(request.url, { method: 'POST', body: JSON.stringify(changed) }),
      );
    };
    const second = await world.start('hospital', { folder: twice, transport: replaying });
    await world.tick();
    assert.equal(second.broker.phase, 'behind-witness');
    await world.close();
  });
});

describe('a broker that was cloned', () => {
  it('is stopped with its first head that the witness did not see grow', async () => {
    const world = await createWorld();
    const original = hospitalOf(world);
    const copy = world.backup('hospital', 'clone');
    const clone = await world.start('hospital', { folder: copy, listed: false });
    await clone.duties.tick();
    // Both are the same until now: nobody can tell them apart.
    assert.equal(clone.broker.phase, 'active');
    await grow(world);
    // Now the original has gone on. The clone goes on as well, and is found out.
    await clone.broker.requireOpen().journal.append(() => ({
      events: [
        {
          event: 'counter-advanced',
          name: 'x',
          value: 1,
          digest: 'ab'.repeat(32),
          service: 'records',
        },
      ],
      result: undefined,
    }));
    world.pass(61);
    await clone.duties.tick();
    assert.equal(clone.broker.phase, 'behind-witness');
    assert.throws(() => clone.broker.requireActive(), { code: 'behind_witness' });
    assert.equal(original.broker.phase, 'active');
    await clone.store.close();
    await world.close();
  });

  it('serves nothing when it starts after the original went on', async () => {
    const world = await createWorld();
    const copy = world.backup('hospital', 'clone');
    await grow(world);
    const clone = await world.start('hospital', { folder: copy, listed: false });
    await clone.duties.tick();
    assert.equal(clone.broker.phase, 'behind-witness');
    await clone.store.close();
    await world.close();
  });
});

describe('a witness that does not answer', () => {
  it('keeps a broker from serving at its start, and stops nothing later', async () => {
    const world = await createWorld();
    await world.running.get('diagnostics')?.stop();
    world.pass(61);
    await world.tick();
    assert.equal(hospitalOf(world).broker.phase, 'active');
    assert.equal(await asks(world), 'released');
    await hospitalOf(world).stop();
    const restarted = await world.start('hospital');
    await world.tick();
    assert.equal(restarted.broker.phase, 'awaiting-witness');
    assert.equal(await asks(world), 'awaiting_witness');
    await world.start('diagnostics');
    await world.tick();
    assert.equal(restarted.broker.phase, 'active');
    await world.close();
  });

  it('can be done without on the word of the party', async () => {
    const world = await createWorld();
    await world.running.get('diagnostics')?.stop();
    await hospitalOf(world).stop();
    const restarted = await world.start('hospital');
    await world.tick();
    await world.client('hospital').overrideWitness('provider closed', world.voice('hospital'));
    assert.equal(restarted.broker.phase, 'active');
    assert.equal(await asks(world), 'released');
    await world.close();
  });

  it('is not believed where somebody answers in its place', async () => {
    const world = await createWorld();
    await hospitalOf(world).stop();
    for (const answer of [
      () => Response.json({ statement: 'a.b.c' }),
      () => Response.json({ error: 'none' }, { status: 409 }),
      () => new Response('<html>', { status: 200 }),
      () => Response.json({}),
    ]) {
      const transport = async (request: Request) =>
        new URL(request.url).pathname === '/v1/witness' ? answer() : world.transport(request);
      const forged = await world.start('hospital', { transport });
      await world.tick();
      assert.equal(forged.broker.phase, 'awaiting-witness');
      await forged.stop();
    }
    // An old answer of the witness itself, kept by the host: over another nonce.
    const old = await world.transport(
      new Request('https://diagnostics.example/v1/witness', {
        method: 'POST',
        body: JSON.stringify({ party: 'hospital', nonce: encodeBase64url(random(32)) }),
      }),
    );
    const kept = await old.text();
    const replaying = async (request: Request) =>
      new URL(request.url).pathname === '/v1/witness'
        ? new Response(kept, { headers: { 'content-type': 'application/json' } })
        : world.transport(request);
    const replayed = await world.start('hospital', { transport: replaying });
    await world.tick();
    assert.equal(replayed.broker.phase, 'awaiting-witness');
    await world.close();
  });
});

describe('POST /v1/witness', () => {
  it('refuses to witness for whom the manifest does not name, and heads of others', async () => {
    const world = await createWorld();
    const { app } = world.running.get('diagnostics') ?? assert.fail();
    const nonce = encodeBase64url(new Uint8Array(randomBytes(32)));
    const ask = (body: object) =>
      app.request('/v1/witness', { method: 'POST', body: JSON.stringify({ nonce, ...body }) });
    assert.equal((await ask({ party: 'platform' })).status, 403);
    assert.equal((await ask({ party: 'diagnostics' })).status, 403);
    assert.equal((await ask({ party: 'hospital' })).status, 200);
    const own = world.running.get('diagnostics')?.broker.heads.newest?.jws;
    assert.equal((await ask({ party: 'hospital', head: own })).status, 403);
    assert.equal((await ask({ party: 'hospital', head: 'x' })).status, 403);
    assert.equal((await ask({ party: 'hospital', more: 1 })).status, 400);
    await world.close();
  });

  it('refuses a longer log without a proof that it contains the one seen', async () => {
    const world = await createWorld();
    const hospital = hospitalOf(world);
    const identity = await world.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    assert.ok((await world.client('hospital').fetchSecret(query)).ok);
    world.pass(61);
    const head = await hospital.broker.signedTreeHead();
    const nonce = encodeBase64url(random(32));
    const from = hospital.broker.gate.seen?.logSize ?? 0;
    const proof = hospital.broker.requireOpen().journal.tree.consistencyProof(from, head.logSize);
    const ask = (nodes: readonly Uint8Array[]) =>
      world.transport(
        new Request('https://diagnostics.example/v1/witness', {
          method: 'POST',
          body: JSON.stringify({
            party: 'hospital',
            nonce,
            head: head.jws,
            proof: nodes.map((node) => encodeBase64url(node)),
          }),
        }),
      );
    assert.equal((await ask([])).status, 409);
    assert.equal((await ask(proof.map((node) => node.map((byte) => byte ^ 1)))).status, 409);
    assert.equal((await ask([...proof, random(32)])).status, 409);
    assert.equal((await ask(proof)).status, 200);
    await world.close();
  });
});
