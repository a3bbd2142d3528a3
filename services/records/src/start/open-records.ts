import type { Random } from '@cloister/sealing';
import { errorCode, errorPlace, type Log } from '@cloister/service';
import type { Config } from '../config.ts';
import type { RecordsEvents } from '../events.ts';
import { openData, type OpenedData } from '../open-data.ts';
import { ensureOwnResources, type OwnResources } from '../own-resources.ts';
import { recordRestore } from '../restore/record-restore.ts';
import { anchorWithin } from '../store/anchor-keeper.ts';
import type { HeadAnchor } from '../store/head-anchor.ts';
import { type Releases, SERVICE } from '../trust/open-releases.ts';
import { tenantKeysOf } from '../trust/released-keys.ts';
import type { OpenedAgreement } from './open-agreement.ts';

/** What the hospital's records are opened with. */
export interface RecordsOptions {
  /** The folder of this process. */
  readonly data: string;
  readonly agreement: OpenedAgreement;
  readonly keys: Pick<Releases, 'tenantSecret' | 'renewTenantKeys'>;
  readonly anchor: HeadAnchor;
  readonly random: Random;
  readonly now: () => Date;
  readonly log: Log<RecordsEvents>;
  /** Told of a log that is not what was written. */
  readonly onTampered: () => void;
}

/** The data, opened and checked, with what stands in them for the service and its users. */
export interface OpenedRecords extends OpenedData {
  readonly own: OwnResources;
}

/** Opens the data; where they were restored, the log says by whose order. */
export async function openRecords(
  config: Pick<Config, 'postgres' | 'blobs' | 'maxPages'>,
  { data, agreement, keys, anchor, random, now, log, onTampered }: RecordsOptions,
): Promise<OpenedRecords> {
  const { order, accounts } = agreement;
  const { manifest } = agreement.first;
  const tenantKeys = () => tenantKeysOf(keys.tenantSecret(), now());
  const opening = performance.now();
  const opened = await openData({
    postgres: config.postgres,
    blobs: config.blobs,
    maxPages: config.maxPages,
    folder: data,
    tenant: manifest.deployment,
    tenantKeys: await tenantKeys(),
    renewKeys: async () => {
      await keys.renewTenantKeys();
      return tenantKeys();
    },
    anchor,
    order,
    anchorWithin: anchorWithin(manifest.services[SERVICE]?.config?.auditAnchor),
    random,
    now,
    onFailure: (error) => log('storage_failed', { code: errorCode(error) }),
    onTampered: (error) => {
      onTampered();
      log('log_replaced', { code: errorCode(error), place: errorPlace(error) });
    },
  });
  const { ledger } = opened;
  log('log_opened', {
    entries: ledger.head.position,
    ms: Math.round(performance.now() - opening),
  });
  const own = await ensureOwnResources(ledger, accounts, random);
  if (ledger.isRestored && order !== undefined) {
    await recordRestore({ ledger, random, now, device: own.device }, order);
    log('log_restored', { entries: ledger.head.position });
  }
  return { ...opened, own };
}
