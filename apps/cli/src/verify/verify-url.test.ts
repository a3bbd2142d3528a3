import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { headHash, type TrustedManifest } from '@cloister/attestation';
import { AT } from '../../../../packages/attestation/src/peer/scene.test.ts';
import {
  localBrokers,
  openBrokers,
  parseBrokers,
  type Brokers,
  type BrokerWord,
} from './brokers.ts';
import { describeVerdict } from './describe-verdict.ts';
import { verifyUrl, type UrlVerdict } from './verify-url.ts';
import { watchUrl } from './watch-url.ts';
import { BROKER, createWorld, NOW, SERVICE, type World } from './world.test.ts';

let world: World;
let head: string;
beforeEach(async () => {
  world = await createWorld();
  head = await world.headAt(NOW);
  world.heads = [head];
  world.changes = { runtime: { heads: [await headHash(head)] } };
});

const open = (party = 'hospital'): Brokers =>
  openBrokers({
    manifest: world.manifest,
    party,
    addresses: { [party]: BROKER },
    transport: world.transport,
    now: () => AT,
  });

const look = (brokers: Brokers | undefined, service?: string): Promise<UrlVerdict> =>
  verifyUrl({
    url: SERVICE,
    service,
    manifest: brokers?.trust() ?? world.manifest,
    brokers,
    transport: world.transport,
    now: brokers?.now ?? (() => AT),
  });

/** Asks the broker, verifies, and gives both with the words in which a person reads it. */
async function verify(): Promise<{ verdict: UrlVerdict; word: BrokerWord; text: string }> {
  const brokers = open();
  const word = await brokers.ask();
  const verdict = await look(brokers);
  return { verdict, word, text: describeVerdict(verdict, { url: SERVICE, brokers, word }) };
}

const checkOf = ({ checks }: UrlVerdict, name: string) =>
  checks.find(({ check }) => check === name);
const RECENT = 'code: recent head';

describe('verifyUrl with a broker', () => {
  it('judges by its heads, and says from when the time is', async () => {
    const { verdict, text } = await verify();
    assert.ok(verdict.ok, verdict.code);
    assert.equal(checkOf(verdict, RECENT)?.outcome, 'passed');
    assert.match(
      text,
      /newest head of the broker of hospital \(2026-11-24T12:00:00.000Z, 0 s ago\)/,
    );
    assert.match(text, /verified\n$/);
  });

  const cases: readonly (readonly [string, string, () => unknown])[] = [
    ['no heads', 'heads_missing', () => (world.changes = {})],
    [
      'a head that nobody signed',
      'head_unknown',
      () => (world.changes = { runtime: { heads: ['00'.repeat(32)] } }),
    ],
    [
      'a head older than the lease',
      'head_too_old',
      async () => {
        const old = await world.headAt(NOW - 901);
        world.heads.push(old);
        world.changes = { runtime: { heads: [await headHash(old)] } };
      },
    ],
    ['a broker without heads', 'own_head_missing', () => (world.heads = [])],
    [
      'a broker whose newest head is too old: its host withholds others',
      'head_too_old',
      async () => {
        world.heads = [await world.headAt(NOW - 901)];
        world.changes = { runtime: { heads: [await headHash(world.heads[0] ?? '')] } };
      },
    ],
  ];
  for (const [what, code, change] of cases)
    it(`refuses ${what}, by this one check`, async () => {
      await change();
      const { verdict, text } = await verify();
      assert.equal(verdict.code, code);
      const failed = verdict.checks.filter(({ outcome }) => outcome === 'failed');
      assert.deepEqual(
        failed.map(({ check }) => check),
        [RECENT],
      );
      assert.ok(text.includes(`refused: ${code}`));
    });

  it('never runs behind the newest head', async () => {
    world.heads = [await world.headAt(NOW + 3600)];
    const { text } = await verify();
    assert.match(text, /13:00:00.000Z, 0 s ago/);
  });

  it('goes on with a newer manifest that the broker has, verified by the one before', async () => {
    const { file, manifest } = await world.successor();
    const newer = await world.headAt(NOW, manifest);
    world.files.push(file);
    world.heads = [newer];
    world.changes = { runtime: { heads: [await headHash(newer)] } };
    const before = await verify();
    assert.equal(before.verdict.code, 'manifest_mismatch');
    world.changes = { ...world.changes, manifests: [manifest?.id ?? ''] };
    const { verdict, text } = await verify();
    assert.ok(verdict.ok, verdict.code);
    assert.equal(verdict.manifest.id, manifest?.id);
    const words = `a newer manifest is in force: serial 2, ${manifest?.id}, signed by diagnostics, hospital, platform`;
    assert.ok(text.includes(words), text);
  });

  it('refuses everything where a head names a newer manifest that is not shown', async () => {
    const { manifest } = await world.successor();
    world.heads = [await world.headAt(NOW, manifest)];
    const { verdict, text } = await verify();
    assert.equal(verdict.code, 'manifest_superseded');
    assert.match(text, /refused: manifest_superseded \(a newer manifest is in force/);
  });

  it('does not go on with a manifest that the own party has not signed, and says so', async () => {
    const { file, manifest } = await world.successor({}, ['platform', 'diagnostics']);
    world.files.push(file);
    world.heads = [await world.headAt(NOW, manifest)];
    const { verdict, word, text } = await verify();
    assert.equal(word.refused, 'own_party_missing');
    assert.equal(verdict.code, 'manifest_superseded');
    assert.match(text, /offers a manifest that does not count: own_party_missing/);
  });

  it('does not judge a broker, or the issuer of tokens, by heads and tokens that they do not have', async () => {
    world.changes = { runtime: { service: 'key-broker' } };
    const brokers = open();
    await brokers.ask();
    const verdict = await look(brokers, 'key-broker');
    for (const name of [RECENT, 'hardware: token'])
      assert.equal(checkOf(verdict, name)?.outcome, 'skipped', name);
    assert.equal(checkOf(verdict, 'code: this agreement is in force')?.outcome, 'passed');
    const { manifest } = await world.successor();
    world.heads.unshift(await world.headAt(NOW + 1, manifest));
    await brokers.ask();
    const after = await look(brokers, 'key-broker');
    const last = checkOf(after, 'code: this agreement is in force');
    assert.equal(last?.code, 'manifest_superseded');
    assert.ok(!after.ok);
  });

  it('says that the broker could not be asked', async () => {
    world.isBrokerAway = true;
    const { verdict, word, text } = await verify();
    assert.equal(word.fault, 'unreachable');
    assert.equal(verdict.code, 'own_head_missing');
    assert.match(text, /the broker could not be asked: unreachable/);
  });
});

describe('verifyUrl without a broker', () => {
  it('says that heads were not asked for, and what that means', async () => {
    world.changes = {};
    const verdict = await look(undefined);
    assert.ok(verdict.ok, verdict.code);
    const { outcome, detail } = checkOf(verdict, RECENT) ?? assert.fail();
    assert.equal(outcome, 'skipped');
    assert.match(detail ?? '', /not asked for/);
    const text = describeVerdict(verdict, { url: SERVICE, brokers: undefined });
    assert.match(text, /Heads were not asked for \(no --broker\)/);
  });

  it('says who could not be asked', async () => {
    world.isServiceAway = true;
    for (const service of [undefined, 'records']) {
      const { ok, code, unreachable } = await look(undefined, service);
      assert.deepEqual([ok, code, unreachable], [false, 'evidence_unavailable', true]);
    }
  });
});

describe('watchUrl', () => {
  it('says a line for each change, and none where nothing has changed', async () => {
    const brokers = open();
    const next = await world.successor();
    const newer = await world.headAt(NOW + 1, next.manifest);
    const rounds: (() => unknown)[] = [
      () => undefined,
      () => (world.isServiceAway = true),
      () => undefined,
      () => (world.isServiceAway = false),
      () => {
        world.files.push(next.file);
        world.heads.unshift(newer);
      },
      async () => {
        const { id } = next.manifest ?? assert.fail();
        world.changes = { manifests: [id], runtime: { heads: [await headHash(newer)] } };
      },
      () => (world.isBrokerAway = true),
      () => (world.isBrokerAway = false),
      () => (world.changes = { ...world.changes, facts: { mrenclave: '00'.repeat(32) } }),
    ];
    const lines: string[] = [];
    const last = await watchUrl({
      ask: brokers.ask,
      verify: () => look(brokers, 'records'),
      pause: async () => {
        const round = rounds.shift();
        await round?.();
        return round !== undefined;
      },
      say: (line) => lines.push(line),
    });
    assert.deepEqual(
      lines.map((line) => /^(?:\S+ +records by manifest|[a-z ]+)/.exec(line)?.[0]),
      [
        'verified     records by manifest',
        'UNREACHABLE  records by manifest',
        'verified     records by manifest',
        'a newer manifest is in force',
        'REFUSED      records by manifest',
        'verified     records by manifest',
        'the broker could not be asked',
        'the broker answers again',
        'REFUSED      records by manifest',
      ],
    );
    assert.match(lines.at(-1) ?? '', /measurement_not_agreed \(other code runs/);
    assert.equal(last.code, 'measurement_not_agreed');
  });
});

describe('the addresses of brokers', () => {
  it('are read as party=url', () => {
    assert.deepEqual(parseBrokers(['hospital=https://a.example', 'diagnostics=http://b:1']), {
      hospital: 'https://a.example',
      diagnostics: 'http://b:1',
    });
    for (const bad of ['hospital', 'https://a.example', 'hospital=ftp://a', 'A=https://b', ''])
      assert.throws(() => parseBrokers([bad]), { name: 'CommandError' });
  });

  it('must be there for the party that counts, which must have a broker', () => {
    const options = { manifest: world.manifest, transport: world.transport, now: () => AT };
    assert.throws(
      () => openBrokers({ ...options, party: 'hospital', addresses: { diagnostics: BROKER } }),
      /--broker hospital=<url>/,
    );
    assert.throws(() => open('platform'), /the manifest names no broker of platform/);
  });

  it('are found through the portal of a deployment on this machine, if that runs', async () => {
    const find = (manifest: TrustedManifest) => localBrokers(manifest, world.transport);
    assert.deepEqual(await find(world.manifest), {});
    world.settings = { broker: BROKER };
    assert.deepEqual(await find(world.manifest), { hospital: BROKER });
    for (const settings of [{}, { broker: 1 }]) {
      world.settings = settings;
      assert.deepEqual(await find(world.manifest), {});
    }
  });
});
