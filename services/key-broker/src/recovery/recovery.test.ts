import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verifyPeer, parseEnvelope } from '@cloister/attestation';
import {
  decodeUtf8,
  encodeBase64url,
  parseJson,
  parseJsonObject,
  type JsonObject,
} from '@cloister/bytes';
import { decryptJwe, parseJwk, verifyJws, type Jwk } from '@cloister/crypto';
import {
  createEmptyWorld,
  createWorld,
  publicJwk,
  random,
  rsa,
  type RunningBroker,
  type World,
} from '../scene.test.ts';

interface Person {
  readonly keys: CryptoKeyPair;
  readonly jwk: Jwk;
}

async function people(n: number): Promise<readonly Person[]> {
  return Promise.all(
    Array.from({ length: n }, async () => {
      const keys = await rsa();
      return { keys, jwk: await publicJwk(keys) };
    }),
  );
}

/** The shares of a new set, each opened by its own person. */
async function makeSet(world: World, k: number, persons: readonly Person[]): Promise<JsonObject[]> {
  const jwes = await world.client('hospital').makeRecoverySet(
    k,
    persons.map(({ jwk }) => jwk),
    world.voice('hospital'),
  );
  return Promise.all(
    jwes.map(async (jwe, i) => {
      const key = persons[i]?.keys.privateKey ?? assert.fail();
      const opened = await decryptJwe(jwe, { key, typ: 'cloister-share+jwe' });
      assert.ok(opened.ok);
      return parseJsonObject(decodeUtf8(opened.plaintext));
    }),
  );
}

/** The broker's disk on another machine: what seals it there cannot open it. */
async function moveElsewhere(world: World): Promise<RunningBroker> {
  await world.running.get('hospital')?.stop();
  const other = await createEmptyWorld();
  // The same root of evidence, so that the manifest admits it; another processor's sealing key.
  const platform = { ...world.platform, sealingRoot: random(32) };
  await other.close();
  return world.start('hospital', { platform });
}

describe('recovery', () => {
  it('opens a sealed broker with k of n shares, on another machine, with all it had', async () => {
    const world = await createWorld();
    const persons = await people(5);
    const shares = await makeSet(world, 3, persons);
    const before = await world.client('hospital').fetchSecret({
      name: 'tenant-key',
      service: 'records',
      identity: await world.identity('records'),
    });
    assert.ok(before.ok);
    world.pass(61);
    await world.tick();
    const key = world.running.get('hospital')?.broker.requireOpen().keys.thumbprint;
    const moved = await moveElsewhere(world);
    assert.equal(moved.broker.phase, 'sealed');
    const client = world.client('hospital');
    for (const [i, at] of [4, 0, 2].entries()) {
      const progress = await client.addShare(shares[at] ?? {});
      assert.equal(progress['received'], i + 1);
    }
    assert.equal(moved.broker.phase, 'awaiting-witness');
    assert.equal(moved.broker.requireOpen().keys.thumbprint, key);
    await world.tick();
    assert.equal(moved.broker.phase, 'active');
    const after = await world.client('hospital').fetchSecret({
      name: 'tenant-key',
      service: 'records',
      identity: await world.identity('records'),
    });
    assert.ok(after.ok, JSON.stringify(after));
    assert.deepEqual(after.claims.versions, before.claims.versions);
    // From now on it opens by itself on this machine.
    await moved.stop();
    const platform = { ...world.platform, sealingRoot: random(32) };
    assert.equal((await world.start('hospital', { platform })).broker.phase, 'sealed');
    await world.close();
  });

  it('shows evidence while it is sealed, so that people know whom they hand a share to', async () => {
    const world = await createWorld();
    await makeSet(world, 2, await people(2));
    const moved = await moveElsewhere(world);
    const nonce = random(32);
    const answer = await moved.app.request(`/v1/quote?nonce=${encodeBase64url(nonce)}`);
    const quote = parseJsonObject(await answer.text());
    assert.equal(quote['state'], 'sealed');
    const envelope = parseEnvelope(quote['evidence'] ?? null);
    const trust = { manifest: world.manifest, service: 'key-broker', nonce, at: world.at };
    const verdict = await verifyPeer(envelope, trust);
    assert.ok(verdict.ok, JSON.stringify(verdict));
    const state = parseJsonObject(await (await moved.app.request('/v1/state')).text());
    assert.equal((state['recovery'] as JsonObject)['k'], 2);
    // Everything else waits.
    for (const path of ['/v1/head', '/v1/log/sth', '/v1/log/entries?start=0'])
      assert.equal((await moved.app.request(path)).status, 503, path);
    await world.close();
  });

  it('notices each wrong share at once: of another set, changed, twice', async () => {
    const world = await createWorld();
    const persons = await people(3);
    const old = await makeSet(world, 2, persons);
    const shares = await makeSet(world, 2, persons);
    await moveElsewhere(world);
    const client = world.client('hospital');
    const [first = {}, second = {}] = shares;
    await assert.rejects(client.addShare(old[0] ?? {}), /share_of_another_set/);
    const relabelled = { ...old[0], label: first['label'] ?? '' };
    await assert.rejects(client.addShare(relabelled), /share_invalid/);
    await assert.rejects(client.addShare({ ...first, x: 2 }), /share_invalid/);
    await assert.rejects(client.addShare({ ...first, x: 9 }), /share_invalid/);
    const { y = '' } = first;
    const flipped = { ...first, y: `A${(y as string).slice(1)}` };
    if (flipped.y !== first['y']) await assert.rejects(client.addShare(flipped), /share_invalid/);
    await assert.rejects(client.addShare({ ...first, label: 'cloister-share|2|3|x' }), /malformed/);
    await assert.rejects(client.addShare({}), /malformed/);
    await client.addShare(first);
    await assert.rejects(client.addShare(first), /share_repeated/);
    const state = await client.state();
    assert.equal(state['state'], 'sealed');
    await client.addShare(second);
    assert.notEqual((await client.state())['state'], 'sealed');
    await assert.rejects(client.addShare(second), /already_active/);
    await world.close();
  });

  it('opens nothing where the host changed the set that counts', async () => {
    const world = await createWorld();
    const persons = await people(2);
    await makeSet(world, 2, persons);
    const moved = await moveElsewhere(world);
    // The host writes a set of its own, of which it has all the shares.
    const { makeRecoverySet, encodeRecoverySet } = await import('./recovery-set.ts');
    const recipients = persons.map(({ jwk }) => jwk);
    const made = await makeRecoverySet(random(32), { k: 2, recipients }, random);
    const { version } = await moved.store.value('recovery-set');
    const value = encodeRecoverySet(made.set);
    await moved.store.commit({ values: [{ key: 'recovery-set', version, value }] });
    const client = world.client('hospital');
    const forged = await Promise.all(
      made.shares.map(async (jwe, i) => {
        const key = persons[i]?.keys.privateKey ?? assert.fail();
        const opened = await decryptJwe(jwe, { key });
        assert.ok(opened.ok);
        return parseJsonObject(decodeUtf8(opened.plaintext));
      }),
    );
    await client.addShare(forged[0] ?? {});
    await assert.rejects(client.addShare(forged[1] ?? {}), /recovery_failed/);
    assert.equal(moved.broker.phase, 'sealed');
    await world.close();
  });

  it('is set up by the quorum of the party only, for two people or more', async () => {
    const world = await createWorld({}, 3);
    const persons = await people(3);
    const client = world.client('hospital');
    const keys = persons.map(({ jwk }) => jwk);
    const few = client.makeRecoverySet(2, keys, world.voice('hospital', 1));
    await assert.rejects(few, /party_quorum_missing/);
    const others = client.makeRecoverySet(2, keys, world.voice('diagnostics'));
    await assert.rejects(others, /statement_refused/);
    for (const k of [0, 1, 4])
      await assert.rejects(client.makeRecoverySet(k, keys, world.voice('hospital')), /malformed/);
    const short = [await publicJwk(await world.identity('records').then(({ sigKey }) => sigKey))];
    const wrong = client.makeRecoverySet(2, [...short, ...keys], world.voice('hospital'));
    await assert.rejects(wrong);
    assert.equal((await client.makeRecoverySet(2, keys, world.voice('hospital', 2))).length, 3);
    await world.close();
  });
});

describe('GET /v1/quote', () => {
  it('names the key that the manifest will name, by the attested key', async () => {
    const world = await createEmptyWorld();
    const { app, broker } = await world.start('hospital');
    const quote = parseJsonObject(await (await app.request('/v1/quote')).text());
    assert.equal(quote['state'], 'uninitialised');
    const { runtimeData } = parseEnvelope(quote['evidence'] ?? null);
    const { keys } = parseJson(decodeUtf8(runtimeData)) as { keys: JsonObject[] };
    const sig = parseJwk(keys.find(({ use }) => use === 'sig') ?? null);
    const { binding } = quote;
    const said = await verifyJws(binding as string, {
      key: sig,
      algs: ['ES256'],
      typ: 'cloister-broker-key+jws',
    });
    assert.ok(said.ok);
    const { brokerKey, party } = parseJsonObject(decodeUtf8(said.payload));
    assert.equal(party, 'hospital');
    assert.deepEqual(brokerKey, broker.requireOpen().keys.jwk);
    await world.close();
  });
});
