import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrustedManifest } from '@cloister/attestation';
import { BrokerClient, ClientError } from '@cloister/client';
import { sealBytes } from '@cloister/sealing';
import type { Fetch } from '@cloister/channel';
import { CommandError } from '../command-error.ts';
import { random } from '../local-trust.ts';
import type { LocalModel } from './model.ts';
import type { PartyKey } from './parties.ts';
import type { Places } from './places.ts';

/** The provider's broker, and the key by which the provider speaks to it. */
export interface ProviderBroker {
  readonly url: string;
  readonly manifest: TrustedManifest;
  readonly party: PartyKey;
  readonly transport: Fetch;
}

/**
 * What the diagnostics provider does: encrypts its model under a fresh key, and gives that key to
 * its broker and to nothing else. Done anew at each start, so that a newer model comes along.
 */
export async function sealLocalModel(
  places: Places,
  model: LocalModel,
  broker: ProviderBroker,
): Promise<void> {
  const key = random(32);
  const folder = join(places.models, model.name, model.version);
  mkdirSync(folder, { recursive: true });
  const info = `model/${model.name}/${model.version}`;
  writeFileSync(join(folder, 'model.sealed'), await sealBytes(key, model.model, info, random));
  writeFileSync(join(folder, 'contract.json'), model.contract);
  await importModelKey(key, broker);
  key.fill(0);
}

const GIVE_UP_MS = 60_000;
const RETRY_MS = 100;
const now = (): Date => new Date();

/** Imports the key by the party's own signature, as soon as the broker serves. */
async function importModelKey(
  key: Uint8Array<ArrayBuffer>,
  { url, manifest, party, transport }: ProviderBroker,
): Promise<void> {
  const client = new BrokerClient({ baseUrl: url, manifest, transport, now, random });
  const voice = { party: 'diagnostics', keys: [party.privateKey] };
  const deadline = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      await client.importSecret('model-key', key, voice);
      return;
    } catch (error) {
      const waiting = error instanceof ClientError && error.status === 503;
      if (!waiting || performance.now() > deadline) {
        const why = error instanceof Error ? error.message : String(error);
        throw new CommandError(`the provider's broker takes no model key: ${why}`, {
          cause: error,
        });
      }
      await new Promise((resolve) => {
        setTimeout(resolve, RETRY_MS);
      });
    }
  }
}
