import { type AttestationClient, createAttestationClient } from '@cloister/client';
import { createHttpClient, type HttpClient, needed } from '@cloister/service';
import type { Config } from '../config.ts';

/** Whom this service calls, and by what. */
export interface Network {
  /** Reaches those whom the settings name, and nobody else. */
  readonly transport: HttpClient;
  /** Reaches the hospital's vault, wherever the manifest says that it is. */
  readonly vaultTransport: HttpClient;
  readonly attestation: string;
  readonly issuer: AttestationClient;
  readonly providers: readonly string[];
  /** The address of each party's broker. */
  readonly brokers: Readonly<Record<string, string>>;
  close(): void;
}

/** Throws ConfigError where an address is missing: that of brokers may, where there is a vault. */
export function openNetwork(
  config: Pick<Config, 'attestation' | 'inference' | 'brokers' | 'cache'>,
  { hasVault }: { readonly hasVault: boolean },
): Network {
  const attestation = needed(config.attestation, 'attestation');
  const providers = needed(config.inference, 'inference');
  const brokers = hasVault ? (config.brokers ?? {}) : needed(config.brokers, 'brokers');
  const cacheUrls = config.cache === undefined ? [] : [config.cache];
  const urls = [attestation, ...providers, ...Object.values(brokers), ...cacheUrls];
  const origins = [...new Set(urls.map((url) => new URL(url).origin))];
  const transport = createHttpClient({ origins });
  // The vault's answers are signed: TLS to it only keeps the access token from being read on the way.
  const vaultTransport = createHttpClient({ allowTls12: true, timeoutMs: 20_000 });
  return {
    transport,
    vaultTransport,
    attestation,
    issuer: createAttestationClient({ baseUrl: attestation, transport }),
    providers,
    brokers,
    close: () => {
      transport.close();
      vaultTransport.close();
    },
  };
}
