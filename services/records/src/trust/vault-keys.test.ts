import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, before, describe, it } from 'node:test';
import {
  BROKER_ANSWER,
  partyKeysDigest,
  type Manifest,
  type TrustedManifest,
} from '@cloister/attestation';
import { decodeUtf8, encodeBase64url, isJsonObject, parseJsonObject } from '@cloister/bytes';
import type { ManifestFollower } from '@cloister/client';
import { parseJws } from '@cloister/crypto';
import { createTestIdentity, createTestVault, type TestVault } from '../../tools/test-vault.ts';
import { createVaultKeys, type VaultKeysOptions } from './vault-keys.ts';

const AT = new Date('2026-11-24T12:00:00Z');
const [V1, V2] = ['0a'.repeat(16), '0b'.repeat(16)];

describe('createVaultKeys', () => {
  let vault: TestVault;
  let seconds: number;
  let manifest: Pick<Manifest, 'parties' | 'secrets' | 'lease'>;
  let identity: VaultKeysOptions['identify'];
  before(async () => {
    vault = await createTestVault(AT);
  });
  beforeEach(() => {
    seconds = AT.getTime() / 1000;
    identity = createTestIdentity;
    vault.answer = () => undefined;
    vault.asked.length = 0;
    vault.keys.clear();
    vault.keys.set(`lamna/${V1}`, new Uint8Array(32).fill(1));
    vault.keys.set(`lamna/${V2}`, new Uint8Array(32).fill(2));
    manifest = {
      lease: 900,
      parties: { hospital: { keys: [], vault: vault.agreement } },
      secrets: {
        'tenant-key': {
          owner: 'hospital',
          type: 'aes256',
          to: ['records'],
          vault: { key: 'lamna', versions: { '1': V1 } },
        },
      },
    };
  });

  /** The manifest of now, as the follower gives it. */
  const follower = {
    get trust() {
      // Only what is looked at here is there.
      return { id: 'ab'.repeat(32), manifest } as unknown as TrustedManifest;
    },
  } as unknown as ManifestFollower;
  const open = () =>
    createVaultKeys({
      follower,
      name: 'tenant-key',
      service: 'records',
      identify: () => identity(),
      transport: (request) => vault.transport(request),
      authorize: () => Promise.resolve('access'),
      now: () => new Date(seconds * 1000),
      random: (length) => new Uint8Array(randomBytes(length)),
    });
  const versions = (of: Readonly<Record<string, string>>): void => {
    const { 'tenant-key': secret } = manifest.secrets ?? {};
    assert.ok(secret);
    const next = { ...secret, vault: { key: 'lamna', versions: of } };
    manifest = { ...manifest, secrets: { 'tenant-key': next } };
  };
  const refused = async (ask: ReturnType<typeof open>): Promise<[string, boolean]> => {
    const verdict = await ask();
    assert.ok(!verdict.ok);
    const isFinal = verdict.checks.some(({ check }) => check === BROKER_ANSWER);
    return [verdict.code, isFinal];
  };

  it('gives the version of the manifest for one lease', async () => {
    const verdict = await open()();
    assert.ok(verdict.ok, JSON.stringify(verdict));
    const { issued, exp, versions: given, immutable } = verdict.claims;
    assert.equal(issued, seconds);
    assert.equal(exp, seconds + 900);
    assert.equal(immutable, true);
    assert.deepEqual(given, [{ version: 1, value: new Uint8Array(32).fill(1), from: seconds }]);
    assert.deepEqual(
      vault.asked.map(({ path }) => path),
      [`/keys/lamna/${V1}/release`],
    );
  });

  it('asks with a new key each time: what the host kept opens no more', async () => {
    const ask = open();
    let kept: Response | undefined;
    const { transport } = vault;
    vault.answer = () => kept?.clone();
    assert.ok((await ask()).ok);
    kept = await transport(
      new Request(`${vault.agreement.url}/keys/lamna/${V1}/release`, {
        method: 'POST',
        body: JSON.stringify({
          target: vault.asked[0]?.token,
          enc: 'RSA_AES_KEY_WRAP_256',
        }),
      }),
    );
    // No nonce in it: the key alone tells that it was given before.
    assert.deepEqual(await refused(ask), ['release_not_for_us', false]);
    assert.equal(new Set(vault.asked.map(({ token }) => token)).size, 2);
  });

  it('shows by whose keys the manifest is signed that it goes by', async () => {
    const hospital = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'B'.repeat(43) };
    const { agreement } = vault;
    const named = { keys: [hospital], vault: agreement };
    manifest = { ...manifest, parties: { hospital: named } };
    assert.ok((await open()()).ok);
    const [{ token } = assert.fail()] = vault.asked;
    const claims = parseJsonObject(decodeUtf8(parseJws(token).payload));
    const runtime = claims['x-ms-runtime'];
    assert.ok(isJsonObject(runtime));
    assert.equal(runtime['nonce'], encodeBase64url(await partyKeysDigest(named)));
  });

  it('gives the newest number first, each from when it was heard of', async () => {
    const ask = open();
    await ask();
    const first = seconds;
    seconds += 100;
    versions({ '1': V1, '2': V2 });
    const two = await ask();
    assert.ok(two.ok);
    assert.deepEqual(
      two.claims.versions.map(({ version, from }) => [version, from]),
      [
        [2, seconds],
        [1, first],
      ],
    );
    seconds += 100;
    versions({ '2': V2, '10': V1 });
    const ten = await ask();
    assert.ok(ten.ok);
    assert.deepEqual(
      ten.claims.versions.map(({ version, from }) => [version, from]),
      [
        [10, seconds],
        [2, seconds - 100],
      ],
    );
  });

  it('gives nothing where one version is refused', async () => {
    versions({ '1': V1, '2': V2 });
    vault.keys.delete(`lamna/${V1}`);
    assert.deepEqual(await refused(open()), ['vault_key_unknown', true]);
  });

  it('ends where the vault says no, and where the manifest names no vault any more', async () => {
    vault.answer = () => Response.json({ error: { code: 'Forbidden' } }, { status: 403 });
    assert.deepEqual(await refused(open()), ['vault_refused', true]);
    vault.answer = () => undefined;
    const ask = open();
    assert.ok((await ask()).ok);
    const { parties } = manifest;
    manifest = { ...manifest, parties: { hospital: { keys: [] } } };
    assert.deepEqual(await refused(ask), ['vault_unknown', true]);
    manifest = { ...manifest, parties, secrets: {} };
    assert.deepEqual(await refused(ask), ['vault_unknown', true]);
  });

  it('gives no key of another length', async () => {
    vault.keys.set(`lamna/${V1}`, new Uint8Array(16));
    assert.deepEqual(await refused(open()), ['vault_key_length', true]);
  });

  it('goes by the vault that the manifest names now', async () => {
    const ask = open();
    const { agreement } = vault;
    const hospital = (change: Partial<typeof agreement>): void => {
      const named = { keys: [], vault: { ...agreement, ...change } };
      manifest = { ...manifest, parties: { hospital: named } };
    };
    hospital({ roots: ['cc'.repeat(32)] });
    assert.deepEqual(await refused(ask), ['vault_authority_foreign', false]);
    hospital({ url: 'https://fabrikam.vault.azure.net' });
    assert.deepEqual(await refused(ask), ['vault_host_mismatch', false]);
    hospital({});
    assert.ok((await ask()).ok);
  });

  it('waits where the access token is not taken, or there is no attestation token', async () => {
    vault.answer = () => Response.json({}, { status: 401 });
    assert.deepEqual(await refused(open()), ['vault_unauthorized', false]);
    identity = async () => {
      const made = await createTestIdentity();
      return { ...made, evidence: async () => ({ ...(await made.evidence()), tokens: [] }) };
    };
    assert.deepEqual(await refused(open()), ['issuer_unavailable', false]);
  });
});
