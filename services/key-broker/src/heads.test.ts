import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { verifyHead } from '@cloister/attestation';
import { decodeBase64url, decodeHex } from '@cloister/bytes';
import { createHeadFeed, fetchHead, fetchHeads } from '@cloister/client';
import { merkleLeafHash, verifyMerkleConsistency, verifyMerkleInclusion } from '@cloister/crypto';
import { createWorld, type World } from './scene.test.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());
const source = () => ({ baseUrl: 'https://hospital.example', transport: world.transport });
const hospital = () => world.running.get('hospital') ?? assert.fail();
const json = async (path: string) =>
  (await (await hospital().app.request(path)).json()) as Record<string, unknown>;
async function happen(): Promise<void> {
  const identity = await world.identity('records');
  const query = { name: 'tenant-key', service: 'records', identity };
  assert.ok((await world.client('hospital').fetchSecret(query)).ok);
}

describe('heads', () => {
  it('are signed every minute, and followed by clients', async () => {
    const feed = createHeadFeed({
      manifest: world.manifest,
      ownParty: 'hospital',
      now: world.now,
      transport: world.transport,
      brokers: { hospital: 'https://hospital.example', diagnostics: 'https://diagnostics.example' },
    });
    const first = await feed.refresh();
    assert.ok(first.ok, JSON.stringify(first));
    assert.equal(feed.keeper.hashes().length, 2);
    await happen();
    world.pass(60);
    await world.tick();
    const second = await feed.refresh();
    assert.ok(second.ok);
    assert.ok(second.claims.logSize > first.claims.logSize);
    assert.equal(second.claims.time, world.at.getTime() / 1000);
    assert.ok((await fetchHeads(source())).length >= 2);
  });

  it('wake who waits for the next one', async () => {
    const head = await fetchHead(source());
    const hash = hospital().broker.heads.newest?.hash;
    const waiting = fetchHead(source(), hash);
    world.pass(61);
    await world.tick();
    assert.notEqual(await waiting, head);
  });

  it('end what evidence may be trusted, when the host withholds them', async () => {
    const frozen = await fetchHeads(source());
    let reachable = true;
    const feed = createHeadFeed({
      manifest: world.manifest,
      ownParty: 'hospital',
      now: world.now,
      transport: async () =>
        reachable ? Response.json({ heads: frozen }) : Promise.reject(new TypeError('gone')),
      brokers: { hospital: 'https://hospital.example' },
    });
    assert.ok((await feed.refresh()).ok);
    // The broker is not there: the lease bridges that, to its end.
    reachable = false;
    world.pass(900);
    assert.ok((await feed.refresh()).ok);
    world.pass(1);
    const late = await feed.refresh();
    assert.equal(late.ok ? '' : late.code, 'head_too_old');
    // The host answers again, with what it had: that is as old as before.
    reachable = true;
    const again = await feed.refresh();
    assert.equal(again.ok ? '' : again.code, 'head_too_old');
    await world.tick();
  });

  it('of another party are waited for too, and carried as soon as there are some', async () => {
    const w = await createWorld();
    const feed = createHeadFeed({
      manifest: w.manifest,
      ownParty: 'diagnostics',
      now: w.now,
      transport: w.transport,
      brokers: { hospital: 'https://hospital.example', diagnostics: 'https://diagnostics.example' },
    });
    assert.deepEqual(feed.keeper.hashes(), []);
    for (const wait of feed.next) assert.ok((await wait()).ok);
    assert.equal(feed.keeper.hashes().length, 2);
    assert.ok(feed.keeper.newest('hospital'));
    await w.close();
  });

  it('say that a manifest was superseded, at once', async () => {
    const w = await createWorld();
    const feed = createHeadFeed({
      manifest: w.manifest,
      ownParty: 'hospital',
      now: w.now,
      transport: w.transport,
      brokers: { hospital: 'https://hospital.example' },
    });
    assert.ok((await feed.refresh()).ok);
    const [wait = assert.fail()] = feed.next;
    const next = wait();
    w.pass(1);
    const trusted = await w.agree(w.next({ lease: 600 }));
    const told = await next;
    assert.equal(told.ok ? '' : told.code, 'manifest_superseded');
    feed.keeper.follow(trusted);
    assert.ok(feed.keeper.check().ok);
    await w.close();
  });
});

describe('the audit log', () => {
  it('proves each entry, and that nothing before was changed', async () => {
    const headOf = async () => {
      const { head } = await json('/v1/log/sth');
      const options = { manifest: world.manifest, party: 'hospital' };
      const verdict = await verifyHead(String(head), options);
      assert.ok(verdict.ok);
      return verdict.claims;
    };
    const proofOf = async (query: string) =>
      ((await json(`/v1/log/proof?${query}`))['proof'] as string[]).map((node) =>
        decodeBase64url(node),
      );
    const old = await headOf();
    await happen();
    await happen();
    const now = await headOf();
    assert.equal(now.logSize, old.logSize + 2);
    const [root1, root2] = [decodeHex(old.logRoot), decodeHex(now.logRoot)];
    const [size1, size2] = [old.logSize, now.logSize];
    const proof = await proofOf(`first=${size1}&second=${size2}`);
    assert.ok(await verifyMerkleConsistency({ size1, size2, root1, root2, proof }));
    const { entries } = (await json('/v1/log/entries?start=0')) as { entries: string[] };
    assert.equal(entries.length, size2);
    for (const [index, entry] of entries.entries()) {
      const leafHash = await merkleLeafHash(decodeBase64url(entry));
      const path = await proofOf(`index=${index}&size=${size2}`);
      assert.ok(
        await verifyMerkleInclusion({ leafHash, index, size: size2, proof: path, root: root2 }),
      );
    }
    const part = (await json(`/v1/log/entries?start=1&count=2`)) as { entries: string[] };
    assert.deepEqual(part.entries, entries.slice(1, 3));
  });

  it('refuses questions that make no sense', async () => {
    const { app } = hospital();
    for (const path of [
      '/v1/log/proof?first=0&second=1',
      '/v1/log/proof?first=5&second=2',
      '/v1/log/proof?index=0&size=100000',
      '/v1/log/proof?index=0',
      '/v1/log/entries',
      '/v1/log/entries?start=-1',
      '/v1/head?after=x',
      '/v1/quote?nonce=short',
    ])
      assert.equal((await app.request(path)).status, 400, path);
  });
});

describe('what is served outside of the channel', () => {
  it('is signed or public; nothing that asks for a secret or changes one', async () => {
    const { app } = hospital();
    const paths = [
      ['POST', '/v1/challenge'],
      ['POST', '/v1/leases/tenant-key'],
      ['PUT', '/v1/secrets/model-key'],
      ['GET', '/v1/secrets'],
      ['POST', '/v1/secrets/tenant-key/rotate'],
      ['DELETE', '/v1/secrets/tenant-key/versions/1'],
      ['POST', '/v1/counters/records-log'],
      ['POST', '/v1/counters/records-log/read'],
      ['POST', '/v1/recovery/set'],
      ['POST', '/v1/recovery/shares'],
      ['POST', '/v1/override'],
      ['POST', '/v1/explain'],
      ['GET', '/keys/model-key'],
    ] as const;
    for (const [method, path] of paths)
      assert.equal((await app.request(path, { method })).status, 404, path);
  });
});
