import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeEnvelope, headHash, keysOf, signHead } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import {
  createHeadScene,
  type HeadScene,
} from '../../../../packages/attestation/src/head/head-scene.test.ts';
import { AT, makeEnvelope, NONCE } from '../../../../packages/attestation/src/peer/scene.test.ts';
import { keeping, makeFile, type Made } from './agreement-scene.test.ts';
import { runGate, type GateMemory } from './run-gate.ts';

let scene: HeadScene;
let one: Made;
let two: Made;

/** The deployment as a test has it: what the broker and the platform say. */
interface World {
  /** Which manifest the head names. */
  head: Made;
  serial: number;
  headTime: number;
  /** Which manifests the evidence names. */
  named: readonly Made[];
  /** What the broker gives as its history; nobody answers where undefined. */
  history: readonly string[] | undefined;
  /** What `cloister.json` says; it cannot be loaded where undefined. */
  shown: string | undefined;
}

before(async () => {
  scene = await createHeadScene();
  one = await makeFile(scene.draft, scene.scene.parties);
  const next: JsonObject = { ...scene.draft, serial: 2, previous: one.id };
  two = await makeFile(next, scene.scene.parties);
});

const worldAtOne = (): World => ({
  head: one,
  serial: 1,
  headTime: 0,
  named: [one],
  history: [one.text],
  shown: one.text,
});

/** A visit in a world, with what earlier visits kept: runs the gate each time that it is called. */
function visit(world: World, kept = keeping()) {
  let head = '';
  const memory: GateMemory = {};
  const means = {
    pins: { parties: keysOf(scene.manifest.manifest), lowestSerial: 1 },
    kept,
    async loadSettings() {
      if (world.shown === undefined) throw new TypeError('down');
      return JSON.stringify({
        records: 'https://records.example',
        attestation: 'https://attest.example',
        broker: 'https://broker.example',
        manifest: JSON.parse(world.shown) as unknown,
      });
    },
    async transport({ url }: Request) {
      if (url.endsWith('/v1/heads')) return Response.json({ heads: [head] });
      if (url.endsWith('/v1/manifest/history')) {
        if (world.history === undefined) throw new TypeError('down');
        const manifests = world.history.map((text) => JSON.parse(text) as unknown);
        return Response.json({ manifests });
      }
      if (url.startsWith('https://attest.example/'))
        return Response.json({ keys: [scene.scene.issuerJwk] });
      const manifests = world.named.map(({ id }) => id);
      const runtime = { manifests, heads: [await headHash(head)] };
      return Response.json(encodeEnvelope(await makeEnvelope(scene.scene, { runtime })));
    },
    now: () => AT,
    random: () => NONCE,
  };
  return async (change: Partial<World> = {}) => {
    Object.assign(world, change);
    head = await signHead(
      {
        deployment: 'lamna',
        party: 'hospital',
        manifest: world.head.id,
        serial: world.serial,
        time: AT.getTime() / 1000 + world.headTime,
        logSize: 4,
        logRoot: 'ab'.repeat(32),
      },
      scene.hospital.privateKey,
    );
    const { report, manifest } = await runGate(means, memory);
    return { report, serial: manifest?.manifest.serial, held: kept.held() };
  };
}

describe('runGate, when the agreement changes', () => {
  it('follows the newer manifest that the head names, keeps it, and verifies the platform by it', async () => {
    const run = visit(worldAtOne());
    assert.equal((await run()).serial, 1);
    const history = [one.text, two.text];
    const bridged = await run({ head: two, serial: 2, history, headTime: 30 });
    assert.deepEqual([bridged.report.state, bridged.serial], ['passed', 2], 'for one lease');
    assert.deepEqual(bridged.held, [two.text]);
    const { report, serial } = await run({ named: [two] });
    assert.deepEqual([report.state, serial], ['passed', 2]);
    assert.deepEqual([report.head?.serial, report.manifest?.serial], [2, 2]);
  });

  it('goes on by what was kept at the next visit, whatever stands beside the page', async () => {
    const world: World = {
      ...worldAtOne(),
      head: two,
      serial: 2,
      named: [two],
      history: undefined,
    };
    const { report, serial } = await visit(world, keeping(two.text))();
    assert.deepEqual([report.state, serial], ['passed', 2]);
    const back = await visit({ ...worldAtOne(), history: undefined }, keeping(two.text))();
    assert.deepEqual([back.report.state, back.report.code], ['blocked', 'manifest_mismatch']);
  });

  it('blocks while the newer manifest is withheld, or is not signed as it must be', async () => {
    const unsigned = await makeFile(
      { ...scene.draft, serial: 2, previous: one.id },
      scene.scene.parties,
      ['platform', 'diagnostics'],
    );
    for (const history of [undefined, [one.text], [one.text, unsigned.text]]) {
      const { report } = await visit({
        ...worldAtOne(),
        head: two,
        serial: 2,
        named: [two],
        history,
      })();
      assert.deepEqual([report.state, report.code], ['blocked', 'manifest_superseded']);
      assert.equal(report.peer, undefined);
      assert.equal(report.simulated, true, 'what is known of the agreement is shown');
      assert.equal(report.manifest?.serial, 1);
    }
  });

  it('asks the broker where the platform names a manifest that nobody told of', async () => {
    const history = [one.text, two.text];
    const { report, serial } = await visit({ ...worldAtOne(), named: [two], history })();
    assert.deepEqual([report.state, serial], ['passed', 2], 'signed by all, a head ahead');
    const unknown = await visit({ ...worldAtOne(), named: [two] })();
    assert.equal(unknown.report.code, 'manifest_mismatch');
  });

  it('sees a broker that goes back, or contradicts itself', async () => {
    const run = visit({ ...worldAtOne(), headTime: 30 });
    assert.equal((await run()).report.state, 'passed');
    const history = [one.text, two.text];
    const { report } = await run({ head: two, serial: 2, headTime: 10, history });
    assert.equal(report.code, 'head_contradicts');
  });

  it('goes on with the addresses that were good where they cannot be loaded again', async () => {
    const run = visit(worldAtOne());
    await run();
    assert.equal((await run({ shown: undefined, headTime: 30 })).report.state, 'passed');
  });

  it('says what the agreement leaves open', async () => {
    const { report } = await visit(worldAtOne())();
    const { hasBroker, anyMachine, identities, lease } = report.manifest ?? assert.fail();
    assert.deepEqual([hasBroker, anyMachine, identities, lease], [true, true, 1, 900]);
    assert.equal(report.head?.time, AT.getTime() / 1000);
  });

  it('names the vault of a hospital that has one in the place of a broker', async () => {
    const { parties, secrets: _, counters: __, ...draft } = scene.draft;
    const { hospital, ...others } = parties as Record<string, JsonObject>;
    const { broker: ___, ...keys } = hospital ?? {};
    const url = 'https://lamna.vault.azure.net';
    const vault = { ...keys, vault: { url, roots: ['ab'.repeat(32)] } };
    const made = await makeFile(
      { ...draft, parties: { ...withoutWitness(others), hospital: vault } },
      scene.scene.parties,
    );
    const world = { ...worldAtOne(), named: [made], history: [made.text], shown: made.text };
    const { report } = await visit(world)();
    assert.equal(report.state, 'passed', report.code);
    assert.deepEqual(
      [report.manifest?.hasBroker, report.manifest?.vault],
      [false, 'lamna.vault.azure.net'],
    );
  });
});

/** A vault witnesses nobody. */
function withoutWitness(parties: Record<string, JsonObject>): JsonObject {
  return Object.fromEntries(
    Object.entries(parties).map(([name, { broker, ...party }]) => [
      name,
      broker === undefined
        ? party
        : { ...party, broker: { sig: (broker as JsonObject)['sig'] ?? null } },
    ]),
  );
}
