import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import {
  keysOf,
  manifestId,
  parseManifest,
  signManifest,
  verifyManifest,
  type TrustedManifest,
} from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import { followBroker, ManifestFollower, type Agreement } from './manifest-follower.ts';

const PARTIES = ['hospital', 'platform', 'diagnostics'] as const;
type Party = (typeof PARTIES)[number];
const START = Date.parse('2026-03-04T05:06:07Z');
const LEASE = 900;

const keys = new Map<Party, CryptoKeyPair>();
let parties: JsonObject;
let first: TrustedManifest;
let time: number;
let follower: ManifestFollower;
let told: Agreement[];

interface Made {
  readonly id: string;
  readonly text: string;
}

/** A manifest file, signed by these parties. */
async function make(
  members: JsonObject,
  signers: readonly Party[] = PARTIES,
  deployment = 'lamna',
): Promise<Made> {
  const manifest = parseManifest(
    JSON.stringify({
      apiVersion: 'cloister.dev/v1',
      deployment,
      profile: 'dev',
      lease: LEASE,
      parties,
      quorum: { update: { of: PARTIES, min: 2 } },
      evidence: { roots: { simulated: ['ab'.repeat(32)] }, platforms: 'any' },
      issuers: [],
      services: {},
      ...members,
    }),
  );
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const party of signers) {
    const pair = keys.get(party) ?? assert.fail(party);
    signatures[party] = await signManifest(id, party, pair.privateKey);
  }
  return { id, text: JSON.stringify({ manifest, signatures }) };
}

before(async () => {
  const members: [string, JsonObject][] = [];
  for (const party of PARTIES) {
    const ec = { name: 'ECDSA', namedCurve: 'P-256' };
    const pair = await crypto.subtle.generateKey(ec, true, ['sign', 'verify']);
    keys.set(party, pair);
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    assert.ok(kty && crv && x && y);
    members.push([party, { keys: [{ kty, crv, x, y }] }]);
  }
  parties = Object.fromEntries(members);
  const made = await make({ serial: 1 });
  const { manifest, signatures } = JSON.parse(made.text) as {
    manifest: JsonObject;
    signatures: Record<string, string>;
  };
  const parsed = parseManifest(JSON.stringify(manifest));
  const verdict = await verifyManifest(parsed, signatures, { pinned: keysOf(parsed) });
  assert.ok(verdict.ok);
  first = verdict.claims;
});
beforeEach(() => {
  time = START;
  told = [];
  follower = new ManifestFollower({ first, ownParty: 'hospital', now: () => new Date(time) });
  follower.onChange((agreement) => void told.push(agreement));
});

const second = (): Promise<Made> => make({ serial: 2, previous: first.id });

describe('ManifestFollower', () => {
  it('goes on with a successor, and bridges the one before for one lease', async () => {
    const next = await second();
    assert.deepEqual(await follower.offer([next.text]), { changed: true });
    assert.equal(follower.trust.id, next.id);
    assert.deepEqual(follower.ids, [next.id, first.id]);
    assert.deepEqual(
      told.map(({ trust, bridge }) => [trust.id, bridge?.manifestId, bridge?.until.getTime()]),
      [[next.id, first.id, START + LEASE * 1000]],
    );
    time += LEASE * 1000;
    assert.deepEqual(follower.ids, [next.id]);
  });

  it('bridges by the clock that it is given later, whatever the host makes of its own', async () => {
    const next = await second();
    let heads = START;
    follower.goBy(() => new Date(heads));
    time += 365 * 86_400_000;
    await follower.offer([next.text]);
    assert.equal(follower.agreement.bridge?.until.getTime(), START + LEASE * 1000);
    heads += LEASE * 1000;
    assert.deepEqual(follower.ids, [next.id]);
  });

  it('goes on over several that are offered in any order, and tells of the last one', async () => {
    const next = await second();
    const third = await make({ serial: 3, previous: next.id });
    assert.deepEqual(await follower.offer([third.text, next.text]), { changed: true });
    assert.equal(follower.trust.id, third.id);
    assert.equal(told.length, 1);
  });

  it('takes the one in force for no news, and one that came before for nothing', async () => {
    const next = await second();
    await follower.offer([next.text]);
    const old = await make({ serial: 1 });
    assert.deepEqual(await follower.offer([next.text, old.text]), { changed: false });
    assert.equal(told.length, 1);
  });

  it('takes offers one after the other', async () => {
    const next = await second();
    const third = await make({ serial: 3, previous: next.id });
    const offers = await Promise.all([follower.offer([next.text]), follower.offer([third.text])]);
    assert.deepEqual(offers, [{ changed: true }, { changed: true }]);
    assert.equal(follower.trust.id, third.id);
  });

  it('tells nobody twice, and the next offer counts where a listener has failed', async () => {
    const next = await second();
    follower.onChange(() => Promise.reject(new RangeError('listener')));
    await assert.rejects(follower.offer([next.text]), RangeError);
    assert.equal(follower.trust.id, next.id);
    assert.deepEqual(await follower.offer([next.text]), { changed: false });
  });
});

describe('ManifestFollower refuses, and stays where it was,', () => {
  const refused: [string, string, () => Promise<Made>][] = [
    [
      'one without the own party, though they are a quorum',
      'own_party_missing',
      () => make({ serial: 2, previous: first.id }, ['platform', 'diagnostics']),
    ],
    [
      'one that only the own party signed',
      'quorum_missing',
      () => make({ serial: 2, previous: first.id }, ['hospital']),
    ],
    [
      'one that leaves a serial out',
      'predecessor_mismatch',
      () => make({ serial: 3, previous: first.id }),
    ],
    [
      'one that follows another manifest',
      'predecessor_mismatch',
      () => make({ serial: 2, previous: 'ee'.repeat(32) }),
    ],
    [
      'one of another deployment',
      'predecessor_mismatch',
      () => make({ serial: 2, previous: first.id }, PARTIES, 'elsewhere'),
    ],
    [
      'another one of the same serial',
      'predecessor_mismatch',
      () => make({ serial: 1, lease: 60 }),
    ],
  ];
  for (const [what, code, made] of refused)
    it(what, async () => {
      const { text } = await made();
      assert.deepEqual(await follower.offer([text]), { changed: false, refused: code });
      assert.equal(follower.trust.id, first.id);
      assert.equal(told.length, 0);
    });

  it('what is no manifest file, and takes what is beside it', async () => {
    const next = await second();
    const nothing = await follower.offer(['{}', 'x', '']);
    assert.deepEqual(nothing, { changed: false, refused: 'malformed' });
    assert.equal((await follower.offer(['{', next.text])).changed, true);
  });

  it('every change of a signed manifest', async () => {
    const { text } = await second();
    const { manifest, signatures } = JSON.parse(text) as Record<string, JsonObject>;
    for (const [name, value] of [
      ['lease', 901],
      ['profile', 'production'],
      ['quorum', { update: { of: ['hospital', 'platform'], min: 2 } }],
    ] as const) {
      const forged = JSON.stringify({ manifest: { ...manifest, [name]: value }, signatures });
      assert.equal((await follower.offer([forged])).changed, false, name);
    }
  });
});

/** A broker with these manifests, the newest last; notes what it was asked. */
function broker(files: readonly Made[]) {
  const asked: string[] = [];
  const transport = (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const all = files.map(({ text }) => text);
    return Promise.resolve(
      new Response(pathname === '/v1/manifest' ? all.at(-1) : `{"manifests":[${all.join(',')}]}`, {
        headers: { 'content-type': 'application/json' },
      }),
    );
  };
  return { source: { baseUrl: 'http://broker', transport }, asked };
}

describe('followBroker', () => {
  it('asks for the history only where the newest one is more than one ahead', async () => {
    const next = await second();
    const third = await make({ serial: 3, previous: next.id });
    const { source, asked } = broker([next]);
    assert.equal((await followBroker(follower, source)).changed, true);
    assert.deepEqual(asked, ['/v1/manifest']);
    const fourth = await make({ serial: 4, previous: third.id });
    const ahead = broker([next, third, fourth]);
    assert.equal((await followBroker(follower, ahead.source)).changed, true);
    assert.deepEqual(ahead.asked, ['/v1/manifest', '/v1/manifest/history']);
    assert.equal(follower.trust.id, fourth.id);
  });
});
