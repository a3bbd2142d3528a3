import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  keysOf,
  manifestId,
  parseManifest,
  signHead,
  signManifest,
  verifyManifest,
  type TrustedManifest,
} from '@cloister/attestation';
import type { Jwk } from '@cloister/crypto';
import { createHeadFeed } from './broker-heads.ts';

const NOW = 1_800_000_000;
const EC = { name: 'ECDSA', namedCurve: 'P-256' };
const makeKey = (): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
async function jwkOf({ publicKey }: CryptoKeyPair): Promise<Jwk> {
  const { kty = '', crv = '', x = '', y = '' } = await crypto.subtle.exportKey('jwk', publicKey);
  return { kty, crv, x, y };
}

describe('createHeadFeed', () => {
  let manifest: TrustedManifest;
  let broker: CryptoKeyPair;
  let earlier: CryptoKeyPair;

  before(async () => {
    const party = await makeKey();
    [broker, earlier] = await Promise.all([makeKey(), makeKey()]);
    const parsed = parseManifest(
      JSON.stringify({
        apiVersion: 'cloister.dev/v1',
        deployment: 'lamna',
        profile: 'dev',
        serial: 2,
        previous: 'ab'.repeat(32),
        lease: 900,
        parties: { hospital: { keys: [await jwkOf(party)], broker: { sig: await jwkOf(broker) } } },
        quorum: { update: { of: ['hospital'], min: 1 } },
        evidence: { roots: { simulated: ['ab'.repeat(32)] }, platforms: 'any' },
        issuers: [],
        services: {},
      }),
    );
    const id = await manifestId(parsed);
    const hospital = await signManifest(id, 'hospital', party.privateKey);
    const verdict = await verifyManifest(parsed, { hospital }, { pinned: keysOf(parsed) });
    assert.ok(verdict.ok);
    manifest = verdict.claims;
  });

  const head = (by: CryptoKeyPair, minute: number, changes: { logSize?: number } = {}) =>
    signHead(
      {
        deployment: 'lamna',
        party: 'hospital',
        manifest: manifest.id,
        serial: 2,
        time: NOW + 60 * minute,
        logSize: 10 + minute,
        logRoot: `${minute}`.repeat(64),
        ...changes,
      },
      by.privateKey,
    );
  /** The verdict over these heads, the newest first. */
  const judge = async (heads: readonly Promise<string>[]): Promise<string> => {
    const given = await Promise.all(heads);
    const feed = createHeadFeed({
      manifest,
      ownParty: 'hospital',
      now: () => new Date((NOW + 300) * 1000),
      transport: () => Promise.resolve(Response.json({ heads: given })),
      brokers: { hospital: 'http://broker' },
    });
    const verdict = await feed.refresh();
    return verdict.ok ? 'ok' : verdict.code;
  };

  it('passes over what the broker signed before the manifest named its next key', async () => {
    assert.equal(await judge([head(broker, 4), head(earlier, 3), head(earlier, 2)]), 'ok');
  });

  it('takes nothing whose newest head another key signed', async () => {
    const code = await judge([head(earlier, 4), head(broker, 3)]);
    assert.equal(code, 'sender_foreign');
  });

  it('does not get over a head that contradicts another one', async () => {
    const shrunk = head(broker, 3, { logSize: 2 });
    assert.equal(await judge([head(broker, 4), shrunk, head(broker, 2)]), 'head_contradicts');
  });
});
