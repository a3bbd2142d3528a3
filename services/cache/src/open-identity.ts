import {
  createIdentity,
  createSimulatedAttester,
  createTlsKey,
  measureOwnService,
  openSimulatedPlatform,
  PRODUCT_IDS,
  type ServiceIdentity,
  type TlsKey,
} from '@cloister/attester';
import type { AttestationClient } from '@cloister/client';

/** What the identity of the gate is made of. */
export interface GateIdentityOptions {
  /** The folder of this machine's simulated platform. */
  readonly platform: string;
  readonly issuer: AttestationClient;
  /** By which manifests it runs, and the newest heads: read anew for each quote. */
  readonly manifests: () => readonly string[];
  readonly heads: () => readonly string[];
  readonly now: () => Date;
  readonly onTokenFailure: (error: unknown) => void;
}

/** The gate's attested identity, and the TLS key in it. */
export interface GateIdentity {
  readonly identity: ServiceIdentity;
  readonly tls: TlsKey;
  readonly simulated: boolean;
}

const SERVICE = 'cache';

const random = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

/** Makes the keys of this process, and measures what it runs. */
export async function openIdentity(options: GateIdentityOptions): Promise<GateIdentity> {
  const { issuer, manifests, heads, now, onTokenFailure } = options;
  const tls = await createTlsKey({ service: SERVICE, now, random });
  const attester = createSimulatedAttester({
    platform: await openSimulatedPlatform(options.platform),
    mrenclave: await measureOwnService(import.meta.url, SERVICE),
    isvProdId: PRODUCT_IDS[SERVICE],
  });
  const identity = await createIdentity({
    service: SERVICE,
    manifests,
    heads,
    attester,
    tls: tls.spkiSha256,
    tokens: async ({ evidence: quote, runtimeData }) => [
      await issuer.attest('Simulated', { quote, runtimeData }),
    ],
    onTokenFailure,
    now,
  });
  return { identity, tls, simulated: attester.format === 'simulated-sgx-quote' };
}
