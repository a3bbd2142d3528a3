import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { manifestId, signManifest, type Manifest } from '@cloister/attestation';
import { loadTrust } from './trust.ts';

const es256 = { name: 'ECDSA', namedCurve: 'P-256' };
const [party, other] = await Promise.all(
  [1, 2].map(() => crypto.subtle.generateKey(es256, true, ['sign', 'verify'])),
);
assert.ok(party && other && 'publicKey' in party && 'publicKey' in other);
const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', party.publicKey);
const jwk = { kty: 'EC', crv: 'P-256', x, y };
const manifest: Manifest = {
  apiVersion: 'cloister.dev/v1',
  deployment: 'test',
  profile: 'dev',
  serial: 1,
  lease: 900,
  parties: { hospital: { keys: [jwk] } },
  quorum: { update: { of: ['hospital'], min: 1 } },
  evidence: { roots: { simulated: ['00'.repeat(32)] }, platforms: 'any' },
  issuers: [],
  services: {},
};
const id = await manifestId(manifest);
const good = await signManifest(id, 'hospital', party.privateKey);
const fileOf = (hospital: string) => JSON.stringify({ manifest, signatures: { hospital } });
const load = (text: string, more: Partial<Parameters<typeof loadTrust>[0]> = {}) =>
  loadTrust({ manifestFile: 'm', readFile: () => Promise.resolve(text), ...more });

describe('loadTrust', () => {
  it('gives a manifest whose parties signed it', async () => {
    const trust = await load(fileOf(good));
    assert.equal(trust.id, id);
    assert.deepEqual(trust.manifest, manifest);
    const pinned = { hospital: [jwk] };
    assert.equal((await load(fileOf(good), { pinned, ownParty: 'hospital' })).id, id);
  });

  const refused: Readonly<Record<string, () => Promise<unknown>>> = {
    'a file that is not there': () =>
      load('', { readFile: () => Promise.reject(new Error('ENOENT')) }),
    'a file that is no JSON': () => load('{'),
    'an unknown member': () => load(fileOf(good).replace('"serial"', '"x":1,"serial"')),
    'the signature of another': async () =>
      load(fileOf(await signManifest(id, 'hospital', other.privateKey))),
    'a change after the signature': () => load(fileOf(good).replace('900', '901')),
    'a party that is not its own': () =>
      load(fileOf(good), { pinned: { hospital: [jwk] }, ownParty: 'diagnostics' }),
    'a serial that is too low': () => load(fileOf(good), { lowestSerial: 2 }),
  };
  for (const [what, attempt] of Object.entries(refused))
    it(`refuses ${what}`, async () => {
      await assert.rejects(attempt(), { name: 'ConfigError', code: 'bad_config' });
    });
});
