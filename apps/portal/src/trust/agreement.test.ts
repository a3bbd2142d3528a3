import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { keysOf, parseManifestFile } from '@cloister/attestation';
import type { Parties } from '../../../../packages/attestation/src/peer/scene.test.ts';
import { draftOf, keeping, makeFile, makeParties, type Made } from './agreement-scene.test.ts';
import { followAgreement, openAgreement, type KeptManifests } from './agreement.ts';
import type { Pins } from './pins.ts';

const now = () => new Date('2026-11-24T12:00:00Z');
let keys: Parties;
let laterKeys: Parties;
let pins: Pins;
/** Serial 1 and 2 by the keys of the build, 3 brings new keys, 4 is signed by those alone. */
let files: Made[];

before(async () => {
  [keys, laterKeys] = await Promise.all([makeParties(), makeParties()]);
  const later = (await draftOf(laterKeys, {}))['parties'];
  const one = await makeFile(await draftOf(keys, { serial: 1 }), keys);
  const two = await makeFile(await draftOf(keys, { serial: 2, previous: one.id }), keys);
  const three = await makeRotation(two.id, later);
  const four = await makeFile(
    await draftOf(laterKeys, { serial: 4, previous: three.id }),
    laterKeys,
  );
  files = [one, two, three, four];
  pins = { parties: keysOf(parseManifestFile(one.text).manifest), lowestSerial: 1 };
});

/** Both old and new keys stand in it: the old ones sign it, the new ones the next. */
async function makeRotation(previous: string, later: unknown): Promise<Made> {
  const draft = await draftOf(keys, { serial: 3, previous });
  const parties = JSON.parse(JSON.stringify(draft['parties'])) as Record<
    string,
    { keys: object[] }
  >;
  const added = later as Record<string, { keys: object[] }>;
  for (const [name, party] of Object.entries(parties))
    party.keys.push(...(added[name]?.keys ?? []));
  return makeFile({ ...draft, parties: JSON.parse(JSON.stringify(parties)) }, keys);
}

const text = (serial: number): string => files[serial - 1]?.text ?? assert.fail();
const id = (serial: number): string => files[serial - 1]?.id ?? assert.fail();
const open = (shown: string, kept: KeptManifests, own = pins) =>
  openAgreement(shown, { pins: own, kept, now });
/** The serial that binds, with what is shown beside the page and what was kept. */
async function opened(shown: string, ...kept: string[]): Promise<number | string> {
  const result = await open(shown, keeping(...kept));
  return result.ok ? result.follower.trust.manifest.serial : result.code;
}

describe('openAgreement', () => {
  it('takes the one beside the page, where nothing newer is known', async () => {
    assert.equal(await opened(text(1)), 1);
    assert.equal(await opened(text(2), text(1)), 2);
  });

  it('never goes back behind one that was kept', async () => {
    assert.equal(await opened(text(1), text(2)), 2);
    assert.equal(await opened(text(1), text(2), text(3)), 3);
    assert.equal(await opened(text(2), text(1)), 2);
  });

  it('climbs over new keys by the keys of each predecessor, and says so', async () => {
    assert.equal(await opened(text(4)), 'old_quorum_missing', 'unknown to this build by itself');
    const result = await open(text(1), keeping(text(2), text(3), text(4)));
    assert.ok(result.ok);
    assert.equal(result.follower.trust.id, id(4));
    assert.equal(result.checks.at(-1)?.detail, 'serial 4');
    assert.equal(result.follower.agreement.bridge, undefined, 'nobody is bridged by a page load');
    assert.equal(await opened(text(4), text(2), text(3)), 4);
  });

  it('counts nothing that was kept and does not verify', async () => {
    const foreign = await makeParties();
    const other = await makeFile(await draftOf(foreign, { serial: 9, previous: id(1) }), foreign);
    assert.equal(await opened(text(1), other.text, 'no JSON', '{}', text(4)), 1);
    const lowest = { ...pins, lowestSerial: 3 };
    assert.equal((await open(text(1), keeping(text(2)), lowest)).ok, false);
  });

  it('refuses a manifest beside the page that is none, or that the hospital has not signed', async () => {
    await assert.rejects(open('{}', keeping()), { name: 'MalformedError' });
    const lacking = await makeFile(await draftOf(keys, { serial: 1 }), keys, ['platform']);
    assert.equal((await open(lacking.text, keeping())).ok, false);
    assert.equal(await opened(lacking.text, text(2)), 2, 'what was kept still binds');
  });
});

/** A follower of serial 1 and its storage, after manifests were offered. */
async function follow(kept: ReturnType<typeof keeping>, ...offered: string[]) {
  const result = await open(text(1), keeping());
  assert.ok(result.ok);
  const changed = await followAgreement(result.follower, [text(1), ...offered], {
    pins,
    kept,
    now,
  });
  return { changed, serial: result.follower.trust.manifest.serial, held: kept.held() };
}

describe('followAgreement', () => {
  it('keeps the newest, alone where the keys of the build vouch for it', async () => {
    assert.deepEqual(await follow(keeping(), text(2)), {
      changed: true,
      serial: 2,
      held: [text(2)],
    });
  });

  it('keeps the way from the keys of the build to new ones', async () => {
    const { serial, held } = await follow(keeping(), text(4), text(2), text(3));
    assert.deepEqual([serial, held], [4, [text(3), text(4)]]);
    assert.equal(await opened(text(1), ...held), 4, 'the next visit can use it');
  });

  it('overwrites nothing newer that another tab has kept', async () => {
    const { serial, held } = await follow(keeping(text(2), text(3)), text(1));
    assert.deepEqual([serial, held], [3, [text(3)]]);
  });

  it('takes no successor that misses the hospital, another number, or its predecessor', async () => {
    const wrong = [
      await makeFile(await draftOf(keys, { serial: 2, previous: id(1) }), keys, [
        'platform',
        'diagnostics',
      ]),
      await makeFile(await draftOf(keys, { serial: 3, previous: id(1) }), keys),
      await makeFile(await draftOf(keys, { serial: 2, previous: id(2) }), keys),
      await makeFile(await draftOf(keys, { serial: 2, previous: id(1), deployment: 'x' }), keys),
    ];
    for (const { text: offered } of wrong)
      assert.deepEqual(await follow(keeping(), offered), {
        changed: false,
        serial: 1,
        held: [text(1)],
      });
  });
});
