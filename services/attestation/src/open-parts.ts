import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createIntelSource,
  createPccsProtocol,
  intelEntry,
  platformCollateral,
  type Attester,
  type TrustedManifest,
} from '@cloister/attestation';
import {
  createSimulatedAttester,
  measureOwnService,
  openSealedSecrets,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import { decodePem, MalformedError, type Bytes } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { ConfigError, createHttpClient, errorCode } from '@cloister/service';
import { createCollateralStore, type CollateralStore } from './collateral/collateral-store.ts';
import { loadCollateral } from './collateral/load-collateral.ts';
import type { Config } from './config.ts';
import type { Roots } from './evidence/roots.ts';
import { openKeyRing, type KeyRing } from './keys/key-ring.ts';
import { certify } from './keys/signing-certificate.ts';
import { nobody, type Authorize } from './management/authorize.ts';
import { oidcAuthorizer } from './management/oidc.ts';
import { openSqliteStateStore } from './state/sqlite-state-store.ts';
import type { StateStore } from './state/state-store.ts';

const now = (): Date => new Date();

/** The collateral that the settings name, and on simulated hardware the machine's own. */
export async function openCollateral(
  config: Config,
  machine: SimulatedMachine | undefined,
  roots: Roots,
): Promise<CollateralStore> {
  const loaded =
    config.collateral === undefined ? { entries: [] } : await loadCollateral(config.collateral);
  const own =
    machine !== undefined && roots.sort === 'simulated'
      ? [intelEntry(platformCollateral(machine))]
      : [];
  return createCollateralStore({
    ...loaded,
    entries: [...own, ...loaded.entries],
    ...(config.pccs === undefined
      ? {}
      : {
          remote: createIntelSource(createPccsProtocol({ baseUrl: config.pccs }), {
            fetch: createHttpClient({ origins: [new URL(config.pccs).origin] }),
            now,
          }),
        }),
  });
}

/** Policies, signers and audit: in the data folder, or in memory. */
export async function openState({ data, isolated }: Config): Promise<StateStore> {
  if (data !== undefined) await mkdir(data, { recursive: true, mode: 0o700 });
  const state = openSqliteStateStore(data && join(data, 'attestation.sqlite'));
  if (isolated !== undefined) {
    const ders = readSigners(await readPem(isolated, 'isolated'));
    // Only the first start makes signers: later ones find what was added and removed since.
    const { version } = await state.signers();
    if (version === 0) await state.setSigners(ders, 0);
  }
  return state;
}

/** Keys are sealed to the platform: with no platform, or no folder, they live for one run. */
export function openKeys(
  config: Config,
  machine: SimulatedMachine | undefined,
  baseUrl: string,
  attester: Attester | undefined,
): Promise<KeyRing> {
  const { data, tokenAlg, keyOverlapHours } = config;
  return openKeyRing({
    alg: tokenAlg,
    secrets:
      machine === undefined || data === undefined
        ? undefined
        : openSealedSecrets({
            folder: join(data, 'secrets'),
            platform: machine,
            mrsigner: SIMULATED_MRSIGNER,
            isvProdId: PRODUCT_IDS.attestation,
          }),
    certify: (key) => certify(key, { baseUrl, at: now(), attester }),
    now,
    overlapSeconds: keyOverlapHours * 3600,
  });
}

/** Who may manage: whom the identity provider names; without one, nobody. */
export function authorizeBy({ managementIssuer, managementAudience }: Config): Authorize {
  if (managementIssuer === undefined) return nobody;
  return oidcAuthorizer({
    issuer: managementIssuer,
    audience: managementAudience,
    fetch: createHttpClient(),
    now,
  });
}

/** This process's attester: simulated hardware, where a manifest says that it counts. */
export async function openAttester(
  machine: SimulatedMachine | undefined,
  trust: TrustedManifest | undefined,
): Promise<Attester | undefined> {
  if (machine === undefined || trust === undefined) return undefined;
  return createSimulatedAttester({
    platform: machine,
    mrenclave: await measureOwnService(import.meta.url, 'attestation'),
    isvProdId: PRODUCT_IDS.attestation,
  });
}

/** Certificate and key of an HTTPS server; undefined for plain HTTP. */
export async function readTls({
  tlsCert,
  tlsKey,
}: Config): Promise<{ cert: string; key: string } | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new ConfigError('tls: a certificate and a key');
  const [cert, key] = await Promise.all([readPem(tlsCert, 'tlsCert'), readPem(tlsKey, 'tlsKey')]);
  return { cert, key };
}

async function readPem(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${setting}: ${errorCode(error)}`, { cause: error });
  }
}

/** The certificates of a PEM file, in which other things (a key, words of a tool) may stand too. */
function readSigners(pem: string): Bytes[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new ConfigError('isolated: no certificate');
  try {
    return blocks.flatMap((block) => {
      const [der = new Uint8Array()] = decodePem(block, 'CERTIFICATE', 'isolated');
      parseCertificate(der, 'isolated');
      return [der];
    });
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new ConfigError(`isolated: ${error.where}`, { cause: error });
  }
}
