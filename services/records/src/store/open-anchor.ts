import { join } from 'node:path';
import type { Manifest } from '@cloister/attestation';
import {
  openSealedSecrets,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import { ANCHOR_NAME } from '../restore/restore-order.ts';
import { SERVICE } from '../trust/open-releases.ts';
import { type CounterClient, createBrokerAnchor } from './broker-anchor.ts';
import { createSealedAnchor, type HeadAnchor } from './head-anchor.ts';

/** Where the anchor may be. */
export interface AnchorOptions {
  readonly manifest: Pick<Manifest, 'counters'>;
  /** The counters of the hospital's broker. */
  readonly counterKeeper: (name: string) => CounterClient;
  /** The folder of the sealed anchor; in `data` unless told. */
  readonly secrets: string | undefined;
  readonly data: string;
  readonly platform: SimulatedMachine;
}

/**
 * The anchor of the log: in the counter that the manifest names. A hospital without a broker of ours
 * has no counters: then it is a sealed file of the host's.
 */
export function openAnchor(options: AnchorOptions): HeadAnchor {
  const { manifest, counterKeeper, data, platform } = options;
  if (manifest.counters?.[ANCHOR_NAME] !== undefined)
    return createBrokerAnchor({ client: counterKeeper(ANCHOR_NAME) });
  return createSealedAnchor(
    openSealedSecrets({
      folder: options.secrets ?? join(data, 'secrets'),
      platform,
      mrsigner: SIMULATED_MRSIGNER,
      isvProdId: PRODUCT_IDS[SERVICE],
    }),
  );
}
