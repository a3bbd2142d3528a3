import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, mock } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { encodeEnvelope } from '@cloister/attestation';
import { encodeBase64url, encodeUtf8, parseJsonObject, type JsonObject } from '@cloister/bytes';
import {
  createWorld,
  random,
  type PartyName,
  World,
} from '../../../../services/key-broker/src/scene.test.ts';
import { run } from '../commands/broker.ts';

const HOSPITAL = 'https://hospital.example';
const DIAGNOSTICS = 'https://diagnostics.example';

let folder: string;
let world: World;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-broker-cli-'));
  world = await createWorld({}, 3);
  await prepare(world, 'main');
});
after(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);

/** The manifest and the parties' keys of a world, as people have them: in files. */
async function prepare(of: World, name: string): Promise<void> {
  const { manifest, signatures } = await of.sign(of.draft);
  writeFileSync(at(`${name}.json`), JSON.stringify({ manifest, signatures }));
  for (const [party, pairs] of Object.entries(of.parties))
    for (const [index, { privateKey }] of pairs.entries()) {
      const pkcs8 = await crypto.subtle.exportKey('pkcs8', privateKey);
      writeFileSync(at(`${name}-${party}-${index}`), new Uint8Array(pkcs8), { mode: 0o600 });
    }
}

/** Runs an action against a world, and gives its exit code and what it printed. */
async function cli(
  of: World,
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const mocks = (['out', 'err'] as const).map((name) =>
    mock.method(process[`std${name}`], 'write', (text: string | Uint8Array): boolean => {
      said[name] += String(text);
      return true;
    }),
  );
  try {
    return { code: await run(args, { transport: of.transport, now: of.now }), ...said };
  } finally {
    for (const one of mocks) one.mock.restore();
  }
}

const as = (party: PartyName, name = 'main') => [
  '--party',
  party,
  '--manifest',
  at(`${name}.json`),
];
const keys = (party: PartyName, count: number, name = 'main') =>
  Array.from({ length: count }, (_, i) => ['--key', at(`${name}-${party}-${i}`)]).flat();
async function good(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await cli(world, ...args);
  assert.equal(code, 0, out + err);
  return out;
}
async function refused(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await cli(world, ...args);
  assert.equal(code, 2, out + err);
  return out + err;
}
const release = async (of: World) => {
  const identity = await of.identity('records');
  const query = { name: 'tenant-key', service: 'records', identity };
  const result = await of.client('hospital').fetchSecret(query);
  assert.ok(result.ok, JSON.stringify(result));
};

describe('cloister broker, looking', () => {
  it('shows the state of a broker that it has verified', async () => {
    const out = await good('state', HOSPITAL, ...as('hospital'));
    assert.match(out, /^broker of hospital: active \(it serves\)/);
    assert.match(out, new RegExp(`manifest  ${world.manifest.id} \\(serial 1\\)`));
    assert.match(out, /NO SET/);
    const json = parseJsonObject(await good('state', HOSPITAL, '--json', ...as('hospital')));
    assert.equal(json['ok'], true);
    assert.equal(json['state'], 'active');
  });

  it('takes no genuine broker of another party, and no broker of another manifest', async () => {
    // A host that leads the hospital's people to the provider's broker: code that is admitted.
    assert.match(await refused('secrets', DIAGNOSTICS, ...as('hospital')), /another_party/);
    // Another manifest than the one by which the broker runs.
    const signed = await world.sign({ ...world.draft, lease: 600 });
    writeFileSync(at('foreign.json'), JSON.stringify(signed));
    const out = await refused('state', HOSPITAL, ...as('hospital', 'foreign'));
    assert.match(out, /NOT VERIFIED: manifest_mismatch/);
    assert.match(out, /which proves nothing:\nbroker of hospital: active/);
    assert.match(await refused('secrets', HOSPITAL, ...as('hospital', 'foreign')), /FAILED/);
    assert.match(await refused('state', HOSPITAL, ...as('platform')), /another_party/);
  });

  it('takes no genuine broker of this party that has other keys', async () => {
    const { platform, parties, issuer, issuerJwk } = world;
    const other = new World({ platform, parties, issuer, issuerJwk });
    try {
      const { identity } = await other.start('hospital');
      await identity.follow(world.manifest.id);
      const { code, out } = await cli(other, 'state', HOSPITAL, ...as('hospital'));
      assert.equal(code, 2);
      assert.match(out, /NOT VERIFIED: sender_foreign/);
      const asked = await cli(other, 'secrets', HOSPITAL, ...as('hospital'));
      assert.match(asked.err, /sender_foreign: its key is not the one that the manifest names/);
    } finally {
      await other.close();
    }
  });

  it('gives the certificate authorities that count, verified, for programs that know only TLS', async () => {
    const pem = await good('ca', HOSPITAL, ...as('hospital'));
    const { subject, ca } = new X509Certificate(pem);
    assert.equal(ca, true);
    assert.match(subject, /CN=Cloister CA 1 of hospital/);
    assert.match(await refused('ca', DIAGNOSTICS, ...as('hospital')), /sender_foreign/);
  });

  it('explains what would be refused, check by check, from a file and from a running service', async () => {
    const identity = await world.identity('records', { mrenclave: 'dd'.repeat(32) });
    const envelope = encodeEnvelope(await identity.evidence(random(32)));
    writeFileSync(at('evidence.json'), JSON.stringify(envelope));
    const out = await refused('explain', HOSPITAL, at('evidence.json'), ...as('hospital'));
    assert.match(out, /FAILED {2}MRENCLAVE {2}\(measurement_not_agreed\)/);
    assert.match(out, /tenant-key {3,}refused: measurement_not_agreed/);
    const fine = encodeEnvelope(await (await world.identity('records')).evidence(random(32)));
    writeFileSync(at('evidence.json'), JSON.stringify(fine));
    assert.match(
      await good('explain', HOSPITAL, at('evidence.json'), ...as('hospital')),
      /tenant-key {3,}released[\s\S]*admitted/,
    );
    const running = await good('explain', HOSPITAL, DIAGNOSTICS, ...as('hospital'));
    assert.match(running, /evidence of key-broker/);
    const json = await good('explain', HOSPITAL, DIAGNOSTICS, '--json', ...as('hospital'));
    assert.equal(parseJsonObject(json)['ok'], true);
  });
});

describe('cloister broker, deciding', () => {
  it('imports, and lists what is there; the value is not in what is printed', async () => {
    writeFileSync(at('model'), 'the key of a model, 32 bytes....');
    const mine = [...as('diagnostics'), ...keys('diagnostics', 1)];
    const out = await good('import', DIAGNOSTICS, 'model-key', at('model'), ...mine);
    assert.equal(out, 'imported model-key v1\n');
    const list = await good('secrets', DIAGNOSTICS, ...as('diagnostics'));
    assert.match(list, /model-key +imported +inference +v1\n/);
    assert.match(
      await refused(
        'import',
        HOSPITAL,
        'tenant-key',
        at('model'),
        ...as('hospital'),
        ...keys('hospital', 2),
      ),
      /not_importable: this broker makes that secret itself/,
    );
  });

  it('rotates and destroys by more than half of the keys, and tells what is missing', async () => {
    await release(world);
    const few = [...as('hospital'), ...keys('hospital', 1)];
    assert.match(
      await refused('rotate', HOSPITAL, 'tenant-key', ...few),
      /party_quorum_missing: more than half/,
    );
    const mine = [...as('hospital'), ...keys('hospital', 2)];
    assert.match(await good('rotate', HOSPITAL, 'tenant-key', ...mine), /at v2 now/);
    assert.match(await refused('destroy', HOSPITAL, 'tenant-key', '2', ...mine), /version_unknown/);
    assert.match(await good('destroy', HOSPITAL, 'tenant-key', 'v1', ...mine), /destroyed/);
    const json = parseJsonObject(
      (await cli(world, 'rotate', HOSPITAL, 'no-key', '--json', ...mine)).out,
    );
    assert.equal(json['ok'], false);
    assert.equal(json['code'], 'secret_unknown');
  });

  it('refuses a key that is not the party\u2019s, before it says anything to anybody', async () => {
    const args = [...as('hospital'), '--key', at('main-diagnostics-0')];
    await assert.rejects(
      run(['rotate', HOSPITAL, 'tenant-key', ...args], {
        transport: () => assert.fail('nothing is sent'),
        now: world.now,
      }),
      /is not one of hospital\u2019s keys/,
    );
    await assert.rejects(
      cli(world, 'rotate', HOSPITAL, 'tenant-key', ...as('hospital')),
      /the party has to sign/,
    );
  });

  it('collects signatures of people elsewhere, each of whom sees what is signed', async () => {
    const collect = ['--collect', at('round')];
    const mine = [...as('hospital'), ...keys('hospital', 1), ...collect];
    const rotating = cli(world, 'rotate', HOSPITAL, 'tenant-key', ...mine);
    while (!existsSync(at('round/statement.json'))) await wait(10);
    // Somebody's signature who is not of the party is not even looked at.
    await run(['sign', at('round'), '--key', at('main-diagnostics-0')]);
    await run(['sign', at('round'), '--key', at('main-hospital-2')]);
    const { code, out } = await rotating;
    assert.equal(code, 0, out);
    const statement = parseJsonObject(readFileSync(at('round/statement.json'), 'utf8'));
    assert.equal(statement['purpose'], 'rotate-secret');
    assert.equal(statement['name'], 'tenant-key');
    const again = cli(world, 'rotate', HOSPITAL, 'tenant-key', ...mine);
    await assert.rejects(again, /take an empty folder/);
  });

  it('shows a counter, and sets it on the word of the party', async () => {
    const shownFirst = parseJsonObject(
      await good('counter', HOSPITAL, 'records-log', '--json', ...as('hospital')),
    );
    assert.equal(shownFirst['value'], 0);
    const mine = [...as('hospital'), ...keys('hospital', 2)];
    const reset = ['--value', '7', '--digest', 'ab'.repeat(32), '--reason', 'backup of monday'];
    const set = (from: string) =>
      ['counter-reset', HOSPITAL, 'records-log', '--from', from, ...reset, ...mine] as const;
    assert.match(await good(...set('0')), /set from 0 to 7/);
    assert.match(await refused(...set('0')), /counter_conflict/);
    const shown = await good('counter', HOSPITAL, 'records-log', ...as('hospital'));
    assert.match(shown, /stands at 7/);
  });

  it('hands in a manifest, and says whose signatures are missing', async () => {
    const own = await createWorld();
    try {
      const draft = own.next({ lease: 600 });
      writeFileSync(at('next.json'), JSON.stringify(await own.sign(draft, ['hospital'])));
      const waiting = await cli(own, 'activate', HOSPITAL, at('next.json'));
      assert.match(waiting.out, /waits for signatures/);
      writeFileSync(at('next.json'), JSON.stringify(await own.sign(draft)));
      assert.match((await cli(own, 'activate', HOSPITAL, at('next.json'))).out, /in force/);
      const broken = own.next({ lease: 500, serial: 9 });
      writeFileSync(at('next.json'), JSON.stringify(await own.sign(broken)));
      const { code, err } = await cli(own, 'activate', HOSPITAL, at('next.json'));
      assert.equal(code, 2);
      assert.match(err, /refused: predecessor_mismatch/);
    } finally {
      await own.close();
    }
  });
});

describe('cloister broker log', () => {
  it('shows what happened, remembers it, and proves later that nothing was changed', async () => {
    for (let i = 0; i < 3; i++) await release(world);
    const keep = ['--keep', at('log.json')];
    const first = await good('log', HOSPITAL, ...keep, ...as('hospital'));
    assert.match(first, /nothing was kept from before/);
    assert.match(first, /! manifest [0-9a-f]{12}\u2026 \(serial 1\) in force/);
    assert.match(first, /> secret tenant-key v\d to records by lease, SIMULATED {2}\(3 times/);
    assert.match(first, /records \(SIMULATED\): released/);
    await release(world);
    const second = await good('log', HOSPITAL, ...keep, ...as('hospital'));
    assert.match(second, /begins with the \d+ entries that were seen/);
    const { head, kept, events } = parseJsonObject(
      await good('log', HOSPITAL, '--json', ...keep, ...as('hospital')),
    ) as { head: { logSize: number }; kept: number; events: JsonObject[] };
    assert.equal(kept, head.logSize);
    assert.equal(events.length, head.logSize);
    // Without the broker, from what was kept.
    assert.match(
      await good('log', at('log.json'), '--all', ...as('hospital')),
      /log of the broker/,
    );
  });

  it('convicts a broker whose entries are not those that it signed', async () => {
    await good('log', HOSPITAL, '--keep', at('forge.json'), ...as('hospital'));
    const copy = JSON.parse(readFileSync(at('forge.json'), 'utf8')) as {
      entries: string[];
      head: string;
    };
    const attempt = async (change: (entries: string[]) => void): Promise<string> => {
      const entries = [...copy.entries];
      change(entries);
      writeFileSync(at('forged.json'), JSON.stringify({ ...copy, entries }));
      return refused('log', at('forged.json'), ...as('hospital'));
    };
    assert.match(await attempt((entries) => entries.pop()), /log_incomplete/);
    assert.match(await attempt((entries) => entries.push(entries[0] ?? '')), /log_incomplete/);
    const nothing = encodeBase64url(encodeUtf8('{"event":"initialised"}'));
    assert.match(await attempt((entries) => (entries[1] = nothing)), /log_forged/);
    assert.match(await attempt((entries) => entries.unshift(entries.pop() ?? '')), /log_forged/);
    writeFileSync(
      at('forged.json'),
      JSON.stringify({ ...copy, head: `${copy.head.slice(0, -2)}AA` }),
    );
    assert.match(await refused('log', at('forged.json'), ...as('hospital')), /sender_foreign/);
    assert.match(await refused('log', at('forge.json'), ...as('diagnostics')), /sender_foreign/);
    await assert.rejects(
      cli(world, 'log', at('main.json'), ...as('hospital')),
      /no copy of a broker/,
    );
  });

  it('notices a log that forks from what was seen, though each head is signed', async () => {
    const own = await createWorld();
    try {
      await prepare(own, 'fork');
      const mine = [...as('hospital', 'fork'), ...keys('hospital', 1, 'fork')];
      const old = own.backup('hospital', 'monday');
      await release(own);
      const keep = ['--keep', at('fork-log.json')];
      assert.equal((await cli(own, 'log', HOSPITAL, ...keep, ...as('hospital', 'fork'))).code, 0);
      own.pass(61);
      await own.tick();
      await own.running.get('hospital')?.stop();
      await own.start('hospital', { folder: old });
      await own.tick();
      const behind = await cli(own, 'log', HOSPITAL, ...keep, ...as('hospital', 'fork'));
      assert.match(behind.err, /behind.witness/);
      assert.match(
        (await cli(own, 'state', HOSPITAL, ...as('hospital', 'fork'))).out,
        /behind-witness/,
      );
      const bad = await cli(own, 'override', HOSPITAL, '--reason', 'n\u00f6', ...mine);
      assert.equal(bad.code, 64);
      const forced = await cli(own, 'override', HOSPITAL, '--reason', 'disk lost', ...mine);
      assert.match(forced.out, /overridden: the broker is active/);
      await release(own);
      await release(own);
      const forked = await cli(own, 'log', HOSPITAL, ...keep, ...as('hospital', 'fork'));
      assert.equal(forked.code, 2);
      assert.match(forked.err, /log_forked/);
      const shown = await cli(own, 'log', HOSPITAL, ...as('hospital', 'fork'));
      assert.match(shown.out, /! WITNESS OVERRIDDEN by .*: disk lost/);
    } finally {
      await own.close();
    }
  });
});

describe('cloister broker, recovering', () => {
  it('splits the state key among people, who open the broker on another machine', async () => {
    const own = await createWorld();
    try {
      await prepare(own, 'rec');
      const mine = [...as('hospital', 'rec'), ...keys('hospital', 1, 'rec')];
      for (const person of ['ann', 'ben', 'eve'])
        assert.equal((await cli(own, 'share-key', at(person))).code, 0);
      assert.equal(statSync(at('ann')).mode & 0o777, 0o600);
      await assert.rejects(cli(own, 'share-key', at('ann')), /not overwritten/);
      const people = ['ann', 'ben', 'eve'].flatMap((one) => ['--recipient', at(`${one}.jwk`)]);
      const set = ['recovery-set', HOSPITAL, '--out', at('shares'), ...mine] as const;
      assert.equal((await cli(own, ...set, '--k', '4', ...people)).code, 64);
      assert.equal((await cli(own, ...set, '--k', '1', ...people)).code, 64);
      const twice = ['--recipient', at('ann.jwk'), '--recipient', at('ann.jwk')];
      await assert.rejects(cli(own, ...set, '--k', '2', ...twice), /would be two of them/);
      const made = await cli(own, ...set, '--k', '2', ...people);
      assert.match(made.out, /2 of 3 open this broker/);
      const share = (number: number, person: string) =>
        cli(
          own,
          'share',
          HOSPITAL,
          at(`shares/share-${number}.jwe`),
          '--share-key',
          at(person),
          ...as('hospital', 'rec'),
        );
      const early = await share(1, 'ann');
      assert.match(early.err, /already_active/);

      await own.running.get('hospital')?.stop();
      await own.start('hospital', { platform: { ...own.platform, sealingRoot: random(32) } });
      const sealed = await cli(own, 'state', HOSPITAL, ...as('hospital', 'rec'));
      assert.match(sealed.out, /broker of hospital: sealed[\s\S]*2 of 3 people, 0 shares/);
      assert.match(
        (await cli(own, 'rotate', HOSPITAL, 'tenant-key', ...mine)).err,
        /sealed: .*share/,
      );
      await assert.rejects(share(1, 'ben'), /does not open with/);
      assert.match((await share(1, 'ann')).out, /taken: 1 of 2/);
      assert.match((await share(1, 'ann')).err, /share_repeated/);
      assert.match((await share(3, 'eve')).out, /taken: the broker is open/);
      await own.tick();
      assert.match((await cli(own, 'state', HOSPITAL, ...as('hospital', 'rec'))).out, /active/);
    } finally {
      await own.close();
    }
  });
});

describe('cloister broker admit-machine', () => {
  it('admits the machine of a broker that waits, by its evidence, and drops it again', async () => {
    const mine = [...as('hospital'), ...keys('hospital', 2)];
    const out = await good('admit-machine', HOSPITAL, DIAGNOSTICS, ...mine);
    const machine = /on machine ([0-9a-f]{32})\n/.exec(out)?.[1] ?? assert.fail(out);
    const { machines } = (world.running.get('hospital') ?? assert.fail()).broker.requireOpen()
      .journal.state;
    assert.deepEqual([...machines], [machine]);
    assert.match(await good('admit-machine', HOSPITAL, machine, '--drop', ...mine), /any more/);
    assert.equal(machines.size, 0);
    const log = await good('log', HOSPITAL, ...as('hospital'));
    assert.match(log, /machine [0-9a-f]{12}\u2026 dropped for replicas/);
    assert.equal((await cli(world, 'admit-machine', HOSPITAL, 'there', ...mine)).code, 64);
    await run(['admit-machine', HOSPITAL, machine, ...as('hospital')], {
      transport: world.transport,
      now: world.now,
    }).then(
      () => assert.fail('without a key'),
      (error: unknown) => assert.match(String(error), /the party has to sign/),
    );
  });
});

describe('cloister broker, called wrongly', () => {
  it('says so, and shows its help', async () => {
    for (const args of [
      [],
      ['nothing'],
      ['state'],
      ['state', HOSPITAL],
      ['rotate', HOSPITAL],
      ['state', HOSPITAL, '--wrong'],
      ['destroy', HOSPITAL, 'x', 'y', ...as('hospital')],
    ])
      assert.equal((await cli(world, ...args)).code, 64, args.join(' '));
    assert.equal((await cli(world, '--help')).code, 0);
    await assert.rejects(
      cli(world, 'state', HOSPITAL, '--party', 'hospital', '--manifest', at('missing')),
      /no trust manifest/,
    );
  });
});
