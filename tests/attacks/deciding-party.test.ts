import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ManifestFile } from '@cloister/attestation';
import { ManifestFollower } from '@cloister/client';
import { entryOf } from '../../apps/cli/src/local/places.ts';
import {
  createWorld,
  PARTIES,
  type PartyName,
  type World,
} from '../../services/key-broker/src/scene.test.ts';

/** Two of three are a quorum: nobody is bound by the two that are not its own party (rule 2). */
const QUORUM = { quorum: { update: { of: [...PARTIES], min: 2 } } };
const DECIDES = { records: 'hospital', cache: 'hospital', inference: 'diagnostics' } as const;
type Service = keyof typeof DECIDES;
const SERVICES = Object.keys(DECIDES) as readonly Service[];
const allBut = (party: PartyName) => PARTIES.filter((one) => one !== party);
/** Somebody whose word is not asked for. */
const otherThan = (party: PartyName): PartyName => (party === 'platform' ? 'hospital' : 'platform');

let world: World;
let folder: string;
before(async () => {
  world = await createWorld(QUORUM);
  folder = mkdtempSync(join(tmpdir(), 'cloister-deciding-'));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await world.close();
});

/** Starts a service with a manifest, on a processor that cannot be, and gives its last words. */
async function lastWords(service: Service, file: ManifestFile): Promise<string> {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, JSON.stringify(file));
  const nobody = 'http://127.0.0.1:9';
  const rest = {
    records: ['--data', folder, '--inference', nobody],
    cache: ['--redis', `unix:${join(folder, 'redis.sock')}`],
    inference: ['--model-store', folder],
  }[service];
  const conditions = process.execArgv.filter((arg) => arg.startsWith('--conditions'));
  const args = [
    entryOf(service),
    '--manifest',
    path,
    '--platform',
    path,
    '--attestation',
    nobody,
    '--brokers',
    `hospital=${nobody},diagnostics=${nobody}`,
    ...rest,
  ];
  const child = spawn(process.execPath, [...conditions, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (part: Buffer) => (said += part.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  assert.notEqual(code, 0);
  return said;
}

/** A relying party that follows manifests while it runs: what it goes by, after it was offered one. */
async function offered(ownParty: PartyName, file: ManifestFile) {
  const now = () => world.at;
  const follower = new ManifestFollower({ first: world.manifest, ownParty, now });
  const { refused } = await follower.offer([JSON.stringify(file)]);
  return [follower.trust.manifest.serial, refused];
}

describe('a manifest that all have signed but the party that decides', () => {
  for (const service of SERVICES) {
    const party = DECIDES[service];
    it(`does not start ${service}: ${party} is missing`, async () => {
      const without = await world.sign(world.draft, allBut(party));
      assert.match(await lastWords(service, without), /manifest: own_party_missing/);
      // With that party, and without another one, it is only the processor that is missing.
      const enough = await world.sign(world.draft, allBut(otherThan(party)));
      assert.match(await lastWords(service, enough), /ENOTDIR|EEXIST|platform/i);
    });
  }

  for (const party of ['hospital', 'diagnostics'] as const) {
    it(`does not bind, while it runs, a service that the ${party} decides for`, async () => {
      const draft = world.next({ lease: 600 });
      const without = await world.sign(draft, allBut(party));
      assert.deepEqual(await offered(party, without), [1, 'own_party_missing']);
      const enough = await world.sign(draft, allBut(otherThan(party)));
      assert.deepEqual(await offered(party, enough), [2, undefined]);
    });

    it(`is not put in force by the key broker of the ${party}, though the other one follows it`, async () => {
      const own = await createWorld(QUORUM);
      const file = await own.sign(own.next({ lease: 600 }), allBut(party));
      for (const running of own.running.values()) {
        const outcome = await running.broker.activate(file);
        if (running.party === party)
          assert.deepEqual('pending' in outcome && outcome.pending.missing, [party]);
        else assert.ok('active' in outcome);
        const inForce = running.broker.trust?.manifest.serial;
        assert.equal(inForce, running.party === party ? 1 : 2);
      }
      await own.close();
    });
  }
});
