import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { SecretVersion } from '@cloister/attestation';
import { ClientError } from '@cloister/client';
import { createLog, StoreError } from '@cloister/service';
import { releaseOf } from '../../tools/test-release.ts';
import { validateFhir } from '@cloister/clinical';
import type { RecordsEvents } from '../events.ts';
import type { NewEntry } from '../store/sealed-group.ts';
import { keepTenantKeys, type TenantKeeper } from './keep-tenant-keys.ts';

const LEASE = 900;
const version = (number: number, from: number): SecretVersion => ({
  version: number,
  value: new Uint8Array(32).fill(number),
  from,
});

/** Lets everything run that waits for nothing but other code. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
};

describe('keepTenantKeys', () => {
  let seconds: number;
  let versions: SecretVersion[];
  let used: number[][];
  let rewraps: { notBefore: number | undefined }[];
  let rewrap: () => Promise<{ version: number; rewrapped: number; remaining: number }>;
  let written: NewEntry[];
  let destroyed: number[];
  let destroy: (old: number) => Promise<void>;
  let events: string[];
  let keeper: TenantKeeper;
  /** Keeps them for a broker, or for a vault, which is told nothing. */
  let keep: (isVault: boolean) => TenantKeeper;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    seconds = 1000;
    versions = [version(1, 0)];
    used = [];
    rewraps = [];
    written = [];
    destroyed = [];
    events = [];
    rewrap = () => Promise.resolve({ version: 2, rewrapped: 5, remaining: 0 });
    destroy = (old) => Promise.resolve(void destroyed.push(old));
    const now = (): Date => new Date(seconds * 1000);
    keep = (isVault) =>
      keepTenantKeys({
        ledger: {
          useTenantKeys: (keys) => void used.push(keys.map((key) => key.version)),
          rewrap: ({ notBefore, alsoWrite } = {}) => {
            rewraps.push({ notBefore: notBefore?.getTime() });
            written.push(...(alsoWrite?.({ version: 2 }) ?? []));
            return rewrap();
          },
        },
        device: 'Device/own',
        random: (length) => new Uint8Array(length),
        secret: () => releaseOf('tenant-key', 'aes256', versions),
        lease: () => LEASE,
        destroy: isVault ? undefined : (old) => destroy(old),
        now,
        log: createLog<RecordsEvents>({
          service: 'records',
          now,
          write: (line) => {
            const { event } = JSON.parse(line) as { event: string };
            events.push(event);
          },
        }),
      });
    keeper = keep(false);
  });
  afterEach(() => {
    keeper.stop();
    mock.timers.reset();
  });
  /** Lets so much time pass, for the timers and for the clock. */
  const pass = async (time: number): Promise<void> => {
    await settle();
    seconds += time;
    mock.timers.tick(time * 1000);
    await settle();
  };

  it('does nothing where there is one version', async () => {
    await pass(1);
    assert.deepEqual([rewraps, destroyed, events], [[], [], []]);
  });

  it('takes the next one up at once, and rewraps when every replica has it', async () => {
    versions = [version(2, 1000), version(1, 0)];
    await keeper.take();
    assert.deepEqual(used, [[2, 1]]);
    await pass(LEASE - 1);
    assert.deepEqual(rewraps, []);
    await pass(1);
    assert.deepEqual(rewraps, [{ notBefore: 1_900_000 }]);
    assert.deepEqual(destroyed, [1]);
    assert.deepEqual(events, ['tenant_keys_replaced']);
    assert.deepEqual(
      written.map(({ type, content }) => [type, validateFhir(content)]),
      [['AuditEvent', []]],
    );
  });

  it('destroys nothing before nothing is left under it', async () => {
    seconds = 2000;
    versions = [version(2, 1000), version(1, 0)];
    rewrap = () => Promise.resolve({ version: 2, rewrapped: 5, remaining: 3 });
    await keeper.take();
    await pass(1);
    assert.deepEqual(destroyed, []);
    rewrap = () => Promise.resolve({ version: 2, rewrapped: 3, remaining: 0 });
    await pass(60);
    assert.deepEqual(destroyed, [1]);
  });

  it('destroys nothing where the log is under another version than the released one', async () => {
    seconds = 2000;
    versions = [version(2, 1000), version(1, 0)];
    rewrap = () => Promise.resolve({ version: 1, rewrapped: 0, remaining: 0 });
    await keeper.take();
    await pass(1);
    assert.deepEqual(destroyed, []);
  });

  it('leaves a version alone that has not begun', async () => {
    seconds = 2000;
    versions = [version(3, 5000), version(2, 1000), version(1, 0)];
    await keeper.take();
    await pass(1);
    assert.deepEqual(destroyed, [1]);
  });

  it('tries again where it failed, and says so', async () => {
    seconds = 2000;
    versions = [version(2, 1000), version(1, 0)];
    rewrap = () => Promise.reject(new StoreError('unavailable'));
    await keeper.take();
    await pass(1);
    assert.deepEqual(events, ['rewrap_failed']);
    rewrap = () => Promise.resolve({ version: 2, rewrapped: 5, remaining: 0 });
    destroy = () => Promise.reject(new ClientError('unavailable', 'key broker'));
    await pass(60);
    assert.deepEqual(events, ['rewrap_failed', 'rewrap_failed']);
    destroy = (old) => Promise.resolve(void destroyed.push(old));
    await pass(60);
    assert.deepEqual(events.at(-1), 'tenant_keys_replaced');
  });

  it('is content where another replica had it destroyed', async () => {
    seconds = 2000;
    versions = [version(2, 1000), version(1, 0)];
    destroy = () =>
      Promise.reject(
        new ClientError('refused', 'key broker', { issues: [{ code: 'version_unknown' }] }),
      );
    await keeper.take();
    await pass(1);
    assert.deepEqual(events, ['tenant_keys_replaced']);
  });

  it('says once that all is under the newest, where a vault keeps the old ones until people act', async () => {
    keeper.stop();
    keeper = keep(true);
    seconds = 2000;
    versions = [version(2, 1000), version(1, 0)];
    await keeper.take();
    await pass(1);
    await keeper.take();
    await pass(1);
    assert.equal(rewraps.length, 1);
    assert.deepEqual([destroyed, events], [[], ['tenant_keys_replaced']]);
    versions = [version(3, 2000), ...versions];
    rewrap = () => Promise.resolve({ version: 3, rewrapped: 5, remaining: 0 });
    await keeper.take();
    await pass(LEASE);
    assert.deepEqual(events, ['tenant_keys_replaced', 'tenant_keys_replaced']);
  });
});
