import { ClientError } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import { errorCode, type Log } from '@cloister/service';
import type { RecordsEvents } from '../events.ts';
import { rewrapAudit } from '../fhir/audit-event.ts';
import { newId } from '../new-id.ts';
import { auditEntry } from '../routes/context.ts';
import type { Ledger } from '../store/ledger.ts';
import { type KeyVersions, tenantKeysOf } from './released-keys.ts';

/** What the tenant keys are kept with. */
export interface TenantKeeping {
  readonly ledger: Pick<Ledger, 'useTenantKeys' | 'rewrap'>;
  /** The service's own Device, `Device/<id>`: it stands in the audit event. */
  readonly device: string;
  readonly random: Random;
  /** The tenant key as it was released last. */
  readonly secret: () => KeyVersions;
  /** Seconds: so long after a version began, every replica has it. */
  readonly lease: () => number;
  /**
   * Has the hospital's broker destroy a version that nothing needs any more. A vault is told nothing:
   * there the log says that the version may be taken out of the manifest, and destroyed.
   */
  readonly destroy: ((version: number) => Promise<void>) | undefined;
  readonly now: () => Date;
  readonly log: Log<RecordsEvents>;
}

/** Takes tenant keys up as they are released. */
export interface TenantKeeper {
  /** To be called after every release. */
  take(): Promise<void>;
  stop(): void;
}

const RETRY_MS = 60_000;

/**
 * Takes up each new version of the tenant key (design 4): it wraps what is new at once. One lease
 * later, when every replica has it, all that older ones wrap is wrapped anew, and the broker is told
 * to destroy them: what code that is no longer admitted may have kept opens nothing any more.
 */
export function keepTenantKeys(options: TenantKeeping): TenantKeeper {
  const { ledger, device, random, secret, lease, destroy, now, log } = options;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  /** The version under which all is, as was said, where older ones stay until people take them away. */
  let replaced = 0;
  const plan = (ms: number): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(() => void replace(), ms).unref();
  };
  const replace = async (): Promise<void> => {
    try {
      const [current, ...older] = await tenantKeysOf(secret(), now());
      const outdated = older.filter(({ version }) => version < (current?.version ?? 0));
      if (current === undefined || outdated.length === 0) return;
      if (destroy === undefined && replaced === current.version) return;
      const due = current.from.getTime() + lease() * 1000;
      const wait = due - now().getTime();
      if (wait > 0) return plan(wait);
      const { version, rewrapped, remaining } = await ledger.rewrap({
        notBefore: new Date(due),
        alsoWrite: ({ version: newest }) => {
          const context = { device, requestId: newId(random), at: now() };
          return [auditEntry(random, rewrapAudit(context, newest))];
        },
      });
      if (remaining > 0 || version !== current.version) return plan(RETRY_MS);
      if (destroy !== undefined)
        for (const old of outdated) await destroyOnce(destroy, old.version);
      replaced = version;
      const destroyed = destroy === undefined ? 0 : outdated.length;
      log('tenant_keys_replaced', { version, rewrapped, destroyed });
    } catch (error) {
      log('rewrap_failed', { code: errorCode(error) });
      plan(RETRY_MS);
    }
  };
  plan(0);
  return {
    async take() {
      ledger.useTenantKeys(await tenantKeysOf(secret(), now()));
      plan(0);
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Another replica may have been first. */
async function destroyOnce(
  destroy: (version: number) => Promise<void>,
  version: number,
): Promise<void> {
  try {
    await destroy(version);
  } catch (error) {
    const isGone = error instanceof ClientError && error.issues[0]?.code === 'version_unknown';
    if (!isGone) throw error;
  }
}
