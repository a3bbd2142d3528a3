import {
  createSimulatedQuote,
  encodeIntelEndorsements,
  platformCollateral,
  type Attester,
  type SimulatedPlatform,
} from '@cloister/attestation';

/** Who signed all of Cloister's enclaves, on simulated hardware: a name, not the hash of a key. */
export const SIMULATED_MRSIGNER =
  '73696d756c61746564000000000000000000000000000000000000636c6f6973';

/** ISVPRODID of each service: one signer signs them all, this keeps their sealing keys apart. */
export const PRODUCT_IDS = {
  attestation: 100,
  records: 101,
  inference: 102,
  cache: 103,
  'key-broker': 104,
} as const;

/** The identity that simulated hardware gives to the code that asks. */
export interface SimulatedIdentity {
  readonly platform: SimulatedPlatform;
  /** From `measureService`, lower hex. */
  readonly mrenclave: string;
  /** `SIMULATED_MRSIGNER` unless told. */
  readonly mrsigner?: string;
  readonly isvProdId: number;
  /** 1 unless told. */
  readonly isvSvn?: number;
}

/** An attester without hardware (design 2.3): its evidence says so by its format. */
export function createSimulatedAttester(identity: SimulatedIdentity): Attester {
  const { platform, mrenclave, mrsigner = SIMULATED_MRSIGNER, isvProdId, isvSvn = 1 } = identity;
  return {
    format: 'simulated-sgx-quote',
    quote: (reportData) =>
      createSimulatedQuote(platform, { mrenclave, mrsigner, isvProdId, isvSvn, reportData }),
    endorsements: () => Promise.resolve(encodeIntelEndorsements(platformCollateral(platform))),
  };
}
