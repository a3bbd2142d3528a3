import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Fetch } from '@cloister/channel';
import type { Deployment } from '../local/deployment.ts';
import { SHORT_LEASE, type Tamper } from '../local/tamper.ts';

/** What the host of `records` does while the line runs, where it cheats by then. */
export interface CheatingHost {
  /** What the messages of the clerk go through. */
  readonly transport: Fetch;
  /** Before the platform is looked at. */
  beforeGate(): Promise<void>;
  /** After the patient was registered. */
  afterPatient(): Promise<void>;
  /** Sends the newest message to the channel once more; undefined where this host does not. */
  readonly replay: (() => Promise<void>) | undefined;
  /** Whether somebody tries the cache with the token of `records`, which is public. */
  readonly stealsToken: boolean;
}

const GATEWAY = '/.well-known/ohttp-gateway';

/** A host that cheats in one way, or in none. */
export function createHost(
  deployment: Deployment,
  transport: Fetch,
  tamper: Tamper | undefined,
): CheatingHost {
  let recorded: Request | undefined;
  const file = join(deployment.places.data('records'), 'records.db');
  const kept = join(deployment.places.folder, 'kept.db');
  return {
    transport: async (request) => {
      if (tamper === 'replay' && request.method === 'POST' && request.url.endsWith(GATEWAY))
        recorded = request.clone();
      return transport(request);
    },
    async beforeGate() {
      if (tamper === 'stale-head') await wait((SHORT_LEASE + 2) * 1000);
      // While it is stopped, all of the database is in one file.
      if (tamper === 'rollback') await deployment.restart('records', () => cpSync(file, kept));
    },
    async afterPatient() {
      if (tamper !== 'rollback') return;
      await deployment.restart('records', () => {
        for (const part of ['', '-wal', '-shm']) rmSync(`${file}${part}`, { force: true });
        cpSync(kept, file);
      });
    },
    stealsToken: tamper === 'cache-token',
    replay:
      tamper === 'replay'
        ? async () => {
            const copy = recorded;
            if (copy !== undefined) await transport(copy);
          }
        : undefined,
  };
}
