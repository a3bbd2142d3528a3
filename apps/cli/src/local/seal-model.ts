import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AttesterError,
  openSealedSecrets,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { sealBytes } from '@cloister/sealing';
import { random } from '../local-trust.ts';
import type { LocalModel } from './model.ts';
import type { Places } from './places.ts';

/**
 * What the diagnostics provider does: encrypts its model under a key of its own, and leaves that key
 * to nobody but its inference enclave. Sealed anew at each start, so that a newer model comes along.
 */
export async function sealLocalModel(
  places: Places,
  platform: SimulatedMachine,
  model: LocalModel,
): Promise<void> {
  const secrets = openSealedSecrets({
    folder: join(places.data('inference'), 'secrets'),
    platform,
    mrsigner: SIMULATED_MRSIGNER,
    isvProdId: PRODUCT_IDS['inference'] ?? 0,
  });
  let key: Bytes;
  try {
    key = await secrets.get('model-key');
  } catch (error) {
    if (!(error instanceof AttesterError && error.code === 'secret_missing')) throw error;
    key = random(32);
    await secrets.put('model-key', key);
  }
  const folder = join(places.models, model.name, model.version);
  mkdirSync(folder, { recursive: true });
  const info = `model/${model.name}/${model.version}`;
  writeFileSync(join(folder, 'model.sealed'), await sealBytes(key, model.model, info, random));
  writeFileSync(join(folder, 'contract.json'), model.contract);
}
