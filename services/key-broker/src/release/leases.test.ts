import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EvidenceEnvelope, ReleasedSecret } from '@cloister/attestation';
import { createSimulatedQuote, reportDataFor } from '@cloister/attestation';
import { PRODUCT_IDS, SIMULATED_MRSIGNER, type ServiceIdentity } from '@cloister/attester';
import { BrokerClient, currentVersion, type SecretQuery } from '@cloister/client';
import {
  CODE,
  createEmptyWorld,
  createWorld,
  firstDraft,
  random,
  type World,
} from '../scene.test.ts';

let world: World;
before(async () => {
  world = await createWorld();
});
after(() => world.close());

const ask = async (changes: Partial<SecretQuery> = {}) => {
  const identity = changes.identity ?? (await world.identity('records'));
  return world
    .client('hospital')
    .fetchSecret({ name: 'tenant-key', service: 'records', identity, ...changes });
};
const codeOf = (result: { ok: boolean; code?: string }) => (result.ok ? 'ok' : result.code);
const value = (secret: ReleasedSecret) => secret.versions[0]?.value;

/** An identity whose evidence is changed on its way, or is another one. */
function withEvidence(
  identity: ServiceIdentity,
  change: (nonce: Uint8Array<ArrayBuffer> | undefined) => Promise<EvidenceEnvelope>,
) {
  return { encKey: identity.encKey, evidence: change };
}

describe('a lease', () => {
  it('gives a generated secret to the service that the manifest names, and to each replica', async () => {
    const result = await ask();
    assert.ok(result.ok, JSON.stringify(result));
    const { versions, owner, epoch, exp, manifest } = result.claims;
    assert.deepEqual(
      { owner, epoch, manifest },
      { owner: 'hospital', epoch: 1, manifest: world.manifest.id },
    );
    assert.equal(currentVersion(result.claims, world.at)?.value.length, 32);
    assert.equal(exp, world.at.getTime() / 1000 + 900);
    const replica = await ask();
    assert.ok(replica.ok);
    assert.deepEqual(replica.claims.versions, versions);
    assert.notEqual(replica.claims.leaseId, result.claims.leaseId);
  });

  it('is renewed with fresh evidence, one epoch later', async () => {
    const identity = await world.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    const client = world.client('hospital');
    const first = await client.fetchSecret(query);
    assert.ok(first.ok);
    world.pass(300);
    const second = await client.renewLease(query, first.claims);
    assert.ok(second.ok, JSON.stringify(second));
    assert.equal(second.claims.leaseId, first.claims.leaseId);
    assert.equal(second.claims.epoch, 2);
    assert.equal(second.claims.exp, first.claims.exp + 300);
  });

  it('is not renewed for another service, under another name, or where there is none', async () => {
    const held = await ask();
    assert.ok(held.ok);
    const client = world.client('hospital');
    const identity = await world.identity('records');
    const none = { ...held.claims, leaseId: '00'.repeat(16) };
    const query = { name: 'tenant-key', service: 'records', identity };
    assert.equal(codeOf(await client.renewLease(query, none)), 'lease_unknown');
    const other = await client.renewLease({ ...query, name: 'channel-key' }, held.claims);
    assert.equal(codeOf(other), 'lease_unknown');
  });

  it('gives keys derived from a secret, one for each label', async () => {
    const [plain, one, again, two] = await Promise.all([
      ask(),
      ask({ derive: 'images' }),
      ask({ derive: 'images' }),
      ask({ derive: 'audit' }),
    ]);
    assert.ok(plain.ok && one.ok && again.ok && two.ok);
    assert.deepEqual(value(one.claims), value(again.claims));
    assert.notDeepEqual(value(one.claims), value(two.claims));
    assert.notDeepEqual(value(one.claims), value(plain.claims));
    assert.equal(one.claims.derive, 'images');
    assert.equal(codeOf(await ask({ name: 'channel-key', derive: 'x' })), 'not_generated');
  });

  it('stands in the audit log, with the evidence that earned it', async () => {
    const { broker } = world.running.get('hospital') ?? assert.fail();
    const size = broker.requireOpen().journal.tree.size;
    const result = await ask();
    assert.ok(result.ok);
    const [entry] = await broker.entries(size, size + 1);
    const event = JSON.parse(new TextDecoder().decode(entry)) as Record<string, unknown>;
    assert.equal(event['event'], 'secret-released');
    assert.equal(event['service'], 'records');
    assert.equal(event['lease'], result.claims.leaseId);
    assert.equal(event['simulated'], true);
    assert.match(String(event['evidence']), /^[0-9a-f]{64}$/);
    assert.ok(!new TextDecoder().decode(entry).includes('value'));
  });
});

describe('no lease is given', () => {
  it('to a service that the manifest does not name for this secret', async () => {
    const identity = await world.identity('inference');
    const result = await ask({ identity, service: 'inference' });
    assert.equal(codeOf(result), 'secret_not_for_service');
  });

  it('for a secret of the other party, or of nobody', async () => {
    assert.equal(codeOf(await ask({ name: 'model-key' })), 'secret_unknown');
    assert.equal(codeOf(await ask({ name: 'no-such-key' })), 'secret_unknown');
    assert.equal(codeOf(await ask({ name: 'constructor' })), 'secret_unknown');
  });

  it('for a secret that its owner has not imported yet', async () => {
    const identity = await world.identity('inference');
    const query = { name: 'model-key', service: 'inference', identity };
    const result = await world.client('diagnostics').fetchSecret(query);
    assert.equal(codeOf(result), 'secret_absent');
  });

  it('to code that the manifest does not admit', async () => {
    const identity = await world.identity('records', { mrenclave: 'ee'.repeat(32) });
    assert.equal(codeOf(await ask({ identity })), 'measurement_not_agreed');
    // Code that is admitted, but as another service.
    const other = await world.identity('records', { mrenclave: CODE.inference });
    assert.equal(codeOf(await ask({ identity: other })), 'measurement_not_agreed');
  });

  it('to code that runs by another manifest: started with a hostile configuration', async () => {
    const identity = await world.identity('records', { manifest: 'dd'.repeat(32) });
    assert.equal(codeOf(await ask({ identity })), 'manifest_mismatch');
  });

  it('on evidence of another simulated root', async () => {
    const elsewhere = await createEmptyWorld();
    const identity = await world.identity('records', { platform: elsewhere.platform });
    const code = codeOf(await ask({ identity }));
    assert.ok(code === 'roots_mismatch' || code === 'pck.chain', code);
    await elsewhere.close();
  });

  it('on evidence that was used before', async () => {
    const identity = await world.identity('records');
    let kept: EvidenceEnvelope | undefined;
    const keep = withEvidence(identity, async (nonce) => (kept = await identity.evidence(nonce)));
    assert.ok((await ask({ identity: keep })).ok);
    const replay = withEvidence(identity, async () => kept ?? assert.fail());
    assert.equal(codeOf(await ask({ identity: replay })), 'nonce_unknown');
  });

  it("on evidence over another broker's nonce: relayed", async () => {
    const identity = await world.identity('records');
    const relayed = withEvidence(identity, () => identity.evidence(random(32)));
    assert.equal(codeOf(await ask({ identity: relayed })), 'nonce_unknown');
    const without = withEvidence(identity, () => identity.evidence());
    assert.equal(codeOf(await ask({ identity: without })), 'nonce_unknown');
  });

  it('on evidence over a nonce that has grown old', async () => {
    const identity = await world.identity('records');
    const slow = withEvidence(identity, async (nonce) => {
      world.pass(121);
      return identity.evidence(nonce);
    });
    assert.equal(codeOf(await ask({ identity: slow })), 'nonce_unknown');
  });

  it('on evidence of a debug enclave', async () => {
    const identity = await world.identity('records');
    const debug = withEvidence(identity, async (nonce) => {
      const envelope = await identity.evidence(nonce);
      const evidence = await createSimulatedQuote(world.platform, {
        mrenclave: CODE.records,
        mrsigner: SIMULATED_MRSIGNER,
        isvProdId: PRODUCT_IDS.records,
        isvSvn: 1,
        debug: true,
        reportData: await reportDataFor(envelope.runtimeData),
      });
      return { ...envelope, evidence };
    });
    assert.equal(codeOf(await ask({ identity: debug })), 'policy.debug');
  });

  it('on evidence whose key is not the one in the report: JWE to another key', async () => {
    const identity = await world.identity('records');
    const thief = await world.identity('records');
    const mixed = withEvidence(identity, async (nonce) => {
      const [own, other] = await Promise.all([identity.evidence(nonce), thief.evidence(nonce)]);
      return { ...own, runtimeData: other.runtimeData };
    });
    assert.equal(codeOf(await ask({ identity: mixed })), 'report_data_mismatch');
  });

  it('that its receiver can open with another key than the attested one', async () => {
    const identity = await world.identity('records');
    const { encKey } = await world.identity('records');
    const result = await ask({
      identity: { encKey, evidence: (nonce) => identity.evidence(nonce) },
    });
    assert.equal(codeOf(result), 'secret_not_for_us');
  });
});

describe('simulated evidence in production', () => {
  it('earns nothing, whatever else is right', async () => {
    const production = await createEmptyWorld();
    await production.start('hospital');
    await production.start('diagnostics');
    const draft = await firstDraft(production, {
      profile: 'production',
      evidence: { roots: 'hardware', platforms: 'any' },
      issuers: [],
    });
    const trust = await production.agree(draft);
    await production.tick();
    const { broker, app } = production.running.get('hospital') ?? assert.fail();
    assert.equal(broker.phase, 'active');
    // No channel to such a broker either: it is simulated itself. So it is asked directly.
    const client = production.client('hospital');
    const identity = await production.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    assert.equal(codeOf(await client.fetchSecret(query)), 'format_not_agreed');
    assert.ok(trust.manifest.evidence.roots === 'hardware');
    const plain = await app.request('/v1/leases/tenant-key', { method: 'POST', body: '{}' });
    assert.equal(plain.status, 404);
    await production.close();
  });
});

describe('a broker that was replaced', () => {
  it('by a genuine one with foreign keys releases nothing that is installed', async () => {
    const identity = await world.identity('records');
    const query = { name: 'tenant-key', service: 'records', identity };
    // The same code, on the same platform, by the same manifest: only its key is its own.
    const impostor = await createEmptyWorld();
    const copy = Object.assign(impostor, { parties: world.parties, platform: world.platform });
    await copy.start('hospital');
    await copy.start('diagnostics');
    const draft = await firstDraft(copy, {});
    await copy.agree(draft);
    await copy.tick();
    const client = new BrokerClient({
      baseUrl: 'https://hospital.example',
      manifest: world.manifest,
      transport: copy.transport,
      now: world.now,
      random,
    });
    // Its evidence names its own manifest, so not even the channel opens.
    assert.equal(codeOf(await client.fetchSecret(query)), 'manifest_mismatch');
    await copy.close();
  });

  it('cannot put a manifest in force that names another key', async () => {
    const stranger = await createEmptyWorld();
    await stranger.start('hospital');
    const { broker } = stranger.running.get('hospital') ?? assert.fail();
    const file = await world.sign(world.draft);
    await assert.rejects(broker.activate(file), { code: 'broker_not_named' });
    assert.equal(broker.phase, 'uninitialised');
    await stranger.close();
  });
});

describe('POST /v1/explain', () => {
  it('says which predicate refuses, and which secrets there would be', async () => {
    const client = world.client('hospital');
    const good = await world.identity('records');
    const fine = await client.explain(await good.evidence());
    assert.equal(fine['ok'], true);
    assert.deepEqual(fine['secrets'], [
      { name: 'tenant-key', released: true },
      { name: 'channel-key', released: true },
    ]);
    const bad = await world.identity('records', { mrenclave: 'ee'.repeat(32) });
    const told = await client.explain(await bad.evidence());
    assert.equal(told['code'], 'measurement_not_agreed');
    const checks = told['checks'] as unknown as readonly { check: string; outcome: string }[];
    const failed = checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['code: MRENCLAVE'],
    );
    assert.ok(checks.length > 15);
    const as = await client.explain(await good.evidence(), 'inference');
    assert.equal(as['ok'], false);
  });
});
