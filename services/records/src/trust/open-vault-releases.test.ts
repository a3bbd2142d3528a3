import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, before, describe, it } from 'node:test';
import type { TrustedManifest } from '@cloister/attestation';
import { encodeKeyConfigs } from '@cloister/channel';
import { ManifestFollower } from '@cloister/client';
import { createLog, problem } from '@cloister/service';
import { createTestIdentity, createTestVault, type TestVault } from '../../tools/test-vault.ts';
import type { RecordsEvents } from '../events.ts';
import { openVaultReleases } from './open-vault-releases.ts';
import type { Releases } from './open-releases.ts';

const AT = new Date('2026-11-24T12:00:00Z');
const V1 = '0a'.repeat(16);
const LEASE = 900;

/** A line of the log. */
interface Said {
  readonly event: string;
  readonly code?: string;
  readonly versions?: number;
  readonly immutable?: boolean;
  readonly heads?: boolean;
}

/** What a guarded gateway answers. */
const asks = async (of: Releases): Promise<number> => {
  const inner = { handle: () => Promise.resolve(problem(404, 'not_found')) };
  const { status } = await of.guard(inner).handle(new Request('https://records.example/'));
  return status;
};

describe('openVaultReleases', () => {
  let vault: TestVault;
  let seconds: number;
  let events: Said[];
  let renewals: string[];
  let released: Releases | undefined;
  let asked: string[];
  before(async () => {
    vault = await createTestVault(AT);
    vault.keys.set(`lamna/${V1}`, new Uint8Array(32).fill(1));
  });
  beforeEach(() => {
    seconds = AT.getTime() / 1000;
    events = [];
    renewals = [];
    asked = [];
    vault.answer = () => undefined;
  });
  afterEach(() => released?.close());

  const now = (): Date => new Date(seconds * 1000);
  async function open(): Promise<Releases> {
    // Only what is looked at here is there: what a manifest must be, the e2e test shows.
    const first = {
      id: 'ab'.repeat(32),
      manifest: {
        deployment: 'lamna',
        lease: LEASE,
        serial: 1,
        parties: { hospital: { keys: [], vault: vault.agreement }, diagnostics: { keys: [] } },
        services: { records: { config: { kems: ['x25519'] } } },
        secrets: {
          'tenant-key': {
            owner: 'hospital',
            type: 'aes256',
            to: ['records'],
            vault: { key: 'lamna', versions: { '1': V1 } },
          },
        },
      },
    } as unknown as TrustedManifest;
    released = await openVaultReleases({
      follower: new ManifestFollower({ first, ownParty: 'hospital', now }),
      readManifest: () => Promise.resolve('{}'),
      brokers: { hospital: 'http://nobody.example', diagnostics: 'http://diagnostics.example' },
      transport: (request) => {
        asked.push(new URL(request.url).origin);
        return Promise.reject(new TypeError('nobody answers'));
      },
      vaultTransport: (request) => vault.transport(request),
      identify: createTestIdentity,
      authorize: () => Promise.resolve('access'),
      now,
      random: (length) => new Uint8Array(randomBytes(length)),
      log: createLog<RecordsEvents>({
        service: 'records',
        now,
        write: (line) => events.push(JSON.parse(line) as Said),
      }),
      onTenantKeys: () => Promise.resolve(void renewals.push('tenant')),
      onChannelKeys: () => Promise.resolve(void renewals.push('channel')),
    });
    return released;
  }
  it('gives the tenant key and the channel’s keys, and says in the log what it lacks', async () => {
    const keys = await open();
    const [version] = keys.tenantSecret().versions;
    assert.deepEqual(version?.value, new Uint8Array(32).fill(1));
    const { shown, accepted } = await keys.channelKeys.load();
    assert.ok(encodeKeyConfigs(shown).length > 0 && accepted.length === 2);
    assert.equal(keys.judgeHeads, undefined);
    assert.equal(keys.destroyTenantKey, undefined);
    assert.deepEqual(keys.heads(), []);
    assert.ok(keys.now() >= now());
    assert.equal(await asks(keys), 404);
    const [said] = events.filter(({ event }) => event === 'keys_from_vault');
    assert.deepEqual([said?.versions, said?.immutable, said?.heads], [1, true, false]);
  });

  it('asks the brokers of others for heads, and none of the hospital', async () => {
    await open();
    assert.deepEqual([...new Set(asked)], ['http://diagnostics.example']);
  });

  it('ends serving at once where the vault says no, and goes on where it says yes', async () => {
    const keys = await open();
    vault.answer = () => Response.json({}, { status: 403 });
    await keys.renewTenantKeys();
    assert.equal(keys.isServing(), false);
    assert.equal(await asks(keys), 503);
    assert.ok(
      events.some(({ event, code }) => event === 'lease_failed' && code === 'vault_refused'),
    );
    vault.answer = () => undefined;
    await keys.renewTenantKeys();
    assert.equal(keys.isServing(), true);
    assert.deepEqual(renewals, ['tenant', 'channel']);
  });

  it('bridges a vault that is away by the rest of the lease, and no longer', async () => {
    const keys = await open();
    vault.answer = () => Response.json({}, { status: 500 });
    await keys.renewTenantKeys();
    const last = events.findLast(({ event }) => event === 'lease_failed');
    assert.equal(last?.code, 'vault_unreachable');
    seconds += LEASE - 1;
    assert.equal(await asks(keys), 404);
    seconds += 1;
    assert.equal(await asks(keys), 503);
  });

  it('runs on where the host sets its clock back', async () => {
    const start = now().getTime();
    const keys = await open();
    seconds -= 10 * LEASE;
    assert.ok(keys.now().getTime() > start);
  });

  it('does not begin where the vault refuses, or is another one', async () => {
    vault.answer = () => Response.json({}, { status: 403 });
    await assert.rejects(open(), { code: 'bad_config', message: /vault.*vault_refused/ });
    const other = await createTestVault(AT);
    other.keys.set(`lamna/${V1}`, new Uint8Array(32));
    const { transport } = vault;
    try {
      Object.assign(vault, { transport: other.transport });
      await assert.rejects(open(), { message: /vault_authority_foreign/ });
    } finally {
      Object.assign(vault, { transport });
    }
  });
});
