import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { platformRootDigest, verifyPeer, type EvidenceEnvelope } from '@cloister/attestation';
import type { ServiceIdentity, SimulatedMachine } from '@cloister/attester';
import { decodeUtf8, encodeHex, parseJsonObject, type Bytes } from '@cloister/bytes';
import { machineOf } from '@cloister/client';
import { isSameCode } from './replicas.ts';
import {
  createEmptyWorld,
  createWorld,
  CODE,
  firstDraft,
  identityOf,
  random,
  type RunningBroker,
  type StartOptions,
  type World,
} from '../scene.test.ts';

const HOSPITAL = 'https://hospital.example';
const OTHER_CODE = 'b7'.repeat(32);

let world: World;
/** Another machine, of which the manifest admits the make. */
let machine: SimulatedMachine;
let ppid: string;

before(async () => {
  world = await createEmptyWorld(3);
  const elsewhere = await createEmptyWorld();
  machine = elsewhere.platform;
  await elsewhere.close();
  await world.start('hospital');
  await world.start('diagnostics');
  const roots = await Promise.all([world.platform, machine].map(platformRootDigest));
  const draft = await firstDraft(world, {
    evidence: { roots: { simulated: roots.toSorted() }, platforms: 'any' },
  });
  const codes = identityOf('key-broker', CODE['key-broker'], OTHER_CODE);
  const services = {
    ...(draft['services'] as object),
    'key-broker': { identity: { anyOf: [codes] } },
  };
  await world.agree({ ...draft, services });
  await world.tick();
  ppid = await machineIn(world, machine);
});
after(() => world.close());

/** What evidence of a machine calls it. */
async function machineIn(of: World, platform: SimulatedMachine): Promise<string> {
  const evidence = await (await of.identity('key-broker', { platform })).evidence();
  const trust = { manifest: of.manifest, service: 'key-broker', at: of.at };
  const verdict = await verifyPeer(evidence, trust);
  assert.ok(verdict.ok, JSON.stringify(verdict));
  return machineOf(verdict.claims) ?? assert.fail();
}

const running = (): RunningBroker => world.running.get('hospital') ?? assert.fail();

/** A replica on the other machine, on the same store: as two processes on one PostgreSQL. */
async function startReplica(options: StartOptions = {}): Promise<RunningBroker> {
  const folder = `${world.folder}/replica-${encodeHex(random(4))}`;
  const shared = { store: running().store, folder, platform: machine, listed: false };
  return world.start('hospital', { ...shared, replica: HOSPITAL, ...options });
}

const admit = (admitted = true, keys = 2) =>
  world.client('hospital').admitMachine(ppid, admitted, world.voice('hospital', keys));
/** Why a replica was not opened, as it was told. */
const told = ({ logged }: RunningBroker): string =>
  logged.filter((line) => line.startsWith('replica: ')).join();

async function events(): Promise<string[]> {
  const { broker } = running();
  // The other process wrote the last one.
  await broker.refresh();
  const leaves = await broker.entries(0, 10_000);
  return leaves.map((leaf) => parseJsonObject(decodeUtf8(leaf))['event'] as string);
}

describe('a sealed broker', () => {
  it('is opened by a running replica, on a machine that the party admits, and the log says so', async () => {
    const replica = await startReplica();
    assert.equal(replica.broker.phase, 'sealed');
    await replica.duties.tick();
    assert.equal(replica.broker.phase, 'sealed');
    assert.equal(told(replica), 'replica: machine_not_admitted');

    await assert.rejects(admit(true, 1), /party_quorum_missing/);
    await admit();
    // It asks again after a while, and not all the time.
    await replica.duties.tick();
    assert.equal(replica.broker.phase, 'sealed');
    world.pass(10);
    await replica.duties.tick();
    assert.equal(replica.broker.phase, 'active', replica.logged.join('\n'));
    const { keys } = replica.broker.requireOpen();
    assert.equal(keys.thumbprint, running().broker.requireOpen().keys.thumbprint);
    const seen = (await events()).slice(-3);
    assert.deepEqual(seen, ['machine-admitted', 'replica-unsealed', 'unsealed']);

    // From now on it opens by itself on this machine.
    const { folder } = replica;
    await replica.stop();
    const again = await startReplica({ folder });
    assert.ok(again.broker.opened);
    await again.stop();
  });

  it('is not opened on a machine that the party dropped', async () => {
    await admit();
    await admit(false);
    const replica = await startReplica();
    await replica.duties.tick();
    assert.equal(told(replica), 'replica: machine_not_admitted');
    await replica.stop();
  });

  it('is not opened where its code is another one, though the manifest admits it', async () => {
    await admit();
    const replica = await startReplica({ mrenclave: OTHER_CODE });
    await replica.duties.tick();
    assert.equal(replica.broker.phase, 'sealed');
    assert.equal(told(replica), 'replica: other_code');
    await replica.stop();
  });

  it('is not opened where the manifest does not admit its code', async () => {
    await admit();
    const replica = await startReplica({ mrenclave: 'cc'.repeat(32) });
    await replica.duties.tick();
    assert.equal(told(replica), 'replica: measurement_not_agreed');
    await replica.stop();
  });

  it('is not opened by a broker that is not active, or that nobody reaches', async () => {
    await admit();
    const { broker } = running();
    const entries = broker.requireOpen().journal.tree.size;
    const away = await startReplica({ transport: () => Promise.reject(new TypeError('gone')) });
    await away.duties.tick();
    assert.equal(away.broker.phase, 'sealed');
    assert.match(told(away), /unavailable/);
    await away.stop();
    // A sealed one has no key to give.
    const first = await startReplica();
    world.running.set('hospital', first);
    const second = await startReplica();
    await second.duties.tick();
    assert.match(told(second), /sealed/);
    await second.stop();
    await first.stop();
    assert.equal(broker.requireOpen().journal.tree.size, entries);
  });
});

describe('a running replica', () => {
  let own: World;
  before(async () => {
    own = await createWorld();
    const name = await machineIn(own, own.platform);
    await own.client('hospital').admitMachine(name, true, own.voice('hospital'));
  });
  after(() => own.close());

  const ask = async (
    identity: Pick<ServiceIdentity, 'evidence' | 'encKey'>,
    party = 'hospital',
  ) => {
    const verdict = await own.client('hospital').fetchStateKey({ party, identity });
    return verdict.ok ? 'ok' : verdict.code;
  };

  it('gives the state key to a replica, encrypted to its attested key', async () => {
    const identity = await own.identity('key-broker');
    const verdict = await own.client('hospital').fetchStateKey({ party: 'hospital', identity });
    assert.ok(verdict.ok, JSON.stringify(verdict));
    const { broker } = own.running.get('hospital') ?? assert.fail();
    assert.deepEqual(verdict.claims, broker.requireOpen().keys.seal.stateKey);
  });

  it('gives nothing to another service, though it is admitted', async () => {
    assert.equal(await ask(await own.identity('records')), 'another_service');
  });

  it('gives nothing to the broker of another party', async () => {
    assert.equal(await ask(await own.identity('key-broker'), 'diagnostics'), 'another_party');
  });

  it('gives nothing for evidence of before', async () => {
    const identity = await own.identity('key-broker');
    let kept: EvidenceEnvelope | undefined;
    const replaying = {
      encKey: identity.encKey,
      evidence: async (nonce?: Bytes) => (kept ??= await identity.evidence(nonce)),
    };
    assert.equal(await ask(replaying), 'ok');
    assert.equal(await ask(replaying), 'nonce_unknown');
  });

  it('gives nothing that opens to another key than the attested one', async () => {
    const [identity, other] = [await own.identity('key-broker'), await own.identity('key-broker')];
    const relayed = { encKey: other.encKey, evidence: identity.evidence.bind(identity) };
    assert.equal(await ask(relayed), 'secret_not_for_us');
  });
});

describe('isSameCode', () => {
  type Claims = Parameters<typeof isSameCode>[0];
  const claims = (parts: object): Claims => parts as Claims;
  const sgx = { tee: 'sgx', mrenclave: 'aa', isvProdId: 104, configId: '00' };
  const tdx = { tee: 'tdx', mrtd: 'aa', rtmrs: ['1', '2', '3', '4'], mrconfigid: '00' };
  const snp = { tee: 'snp', measurement: 'aa', hostData: '00' };
  const azure = { tee: 'azure-cvm', hardware: snp, pcrs: { 4: 'aa', 11: 'bb' } };

  for (const [one, ...others] of [
    [sgx, { mrenclave: 'ab' }, { isvProdId: 101 }, { configId: '01' }],
    [tdx, { mrtd: 'ab' }, { rtmrs: ['1', '2', '3', '5'] }, { mrconfigid: '01' }],
    [snp, { measurement: 'ab' }, { hostData: '01' }],
    [
      azure,
      { hardware: { ...snp, measurement: 'ab' } },
      { pcrs: { 4: 'aa', 11: 'bc' } },
      { pcrs: { 4: 'aa' } },
    ],
  ] as const)
    it(`compares all that ${one.tee} measures`, () => {
      assert.ok(isSameCode(claims(one), claims({ ...one })));
      for (const change of others)
        assert.ok(!isSameCode(claims(one), claims({ ...one, ...change })), JSON.stringify(change));
      assert.ok(!isSameCode(claims(one), claims(one.tee === 'sgx' ? snp : sgx)));
    });

  it('takes no VM for another one where nobody vouches for what runs in it', () => {
    const bare = claims({ ...azure, pcrs: {} });
    assert.ok(!isSameCode(bare, bare));
  });
});
