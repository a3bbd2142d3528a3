import { writeFileSync } from 'node:fs';
import { platformRootDigest, type TrustedManifest } from '@cloister/attestation';
import { measureService, openSimulatedPlatform } from '@cloister/attester';
import { readTrust } from '../local-trust.ts';
import { openAccounts, type Account } from './accounts.ts';
import { writeAgreement } from './agreement.ts';
import { readLocalModel, type LocalModel } from './model.ts';
import { openParties, readIfThere, type PartyKey } from './parties.ts';
import { PARTIES, ROOT, SERVICES, type Party, type Places, type ServiceName } from './places.ts';
import { buildPortal } from './portal-build.ts';
import { hashPortalBuild } from './portal-server.ts';
import type { Ports } from './ports.ts';
import { prepareBrokerKey, prepareIssuerKeys } from './prepare-keys.ts';
import type { Variant } from './variant.ts';

/** What is to be prepared. */
export interface PrepareOptions {
  readonly places: Places;
  readonly ports: Ports;
  readonly origin: string;
  /** Whether the portal is built too. */
  readonly portal: boolean;
  /** Whether the deployment has a cache gate. */
  readonly cache: boolean;
  /** Other code that the parties agreed on. */
  readonly variant: Variant | undefined;
  /** Seconds, where they are not the usual ones. */
  readonly lease?: number | undefined;
  /** How many parties must sign a change, where not all of them. */
  readonly quorum?: number | undefined;
  readonly tell: (line: string) => void;
}

/** What is there before anything runs. */
export interface Prepared {
  readonly trust: TrustedManifest;
  readonly parties: Readonly<Record<Party, PartyKey>>;
  readonly model: LocalModel;
  readonly accounts: { readonly file: string; readonly accounts: readonly Account[] };
}

/**
 * Makes what is missing before a deployment can start: the simulated processor, the parties' keys,
 * the keys of brokers and of the attestation service, the portal, and the manifest that names them.
 */
export async function prepareDeployment(options: PrepareOptions): Promise<Prepared> {
  const { places, ports, origin, variant, tell } = options;
  tell('measuring the services');
  const platform = await openSimulatedPlatform(places.platform);
  const [parties, measurements, issuerKeys, hospital, diagnostics] = await Promise.all([
    openParties(places.parties),
    measureAll(options.cache, variant?.agreed === true ? variant : undefined),
    prepareIssuerKeys(places),
    prepareBrokerKey(places, 'hospital'),
    prepareBrokerKey(places, 'diagnostics'),
  ]);
  const model = readLocalModel();
  const accounts = openAccounts(places);
  writePins(places, parties);
  if (options.portal && (await buildPortal(places))) tell('built the portal');
  const { serial } = await writeAgreement(places, {
    parties,
    brokerKeys: { hospital, diagnostics },
    measurements,
    simulatedRoot: await platformRootDigest(platform),
    issuer: { iss: `http://127.0.0.1:${ports.attestation}`, keys: issuerKeys },
    models: {
      [model.name]: { [model.version]: { digest: model.digest, contract: model.contractDigest } },
    },
    portal: { origin, build: hashPortalBuild(places.portal) },
    lease: options.lease,
    quorum: options.quorum,
  });
  tell(`the trust manifest has serial ${serial}`);
  return { trust: await readTrust(places.manifest), parties, model, accounts };
}

/** The measurement of each service; of its variant where the parties agreed on that. */
async function measureAll(
  cache: boolean,
  variant: Variant | undefined,
): Promise<Partial<Record<ServiceName, string>>> {
  const services = SERVICES.filter((service) => cache || service !== 'cache');
  const measured = await Promise.all(
    services.map(async (service) => {
      const folder = service === variant?.service ? { folder: variant.folder } : {};
      return [service, await measureService({ root: ROOT, service, ...folder })] as const;
    }),
  );
  return Object.fromEntries(measured);
}

/** What the portal's build holds: the parties' keys and the lowest serial (design 3.6). */
function writePins(places: Places, parties: Readonly<Record<Party, PartyKey>>): void {
  const pins = {
    ownParty: 'hospital',
    lowestSerial: 1,
    parties: Object.fromEntries(PARTIES.map((party) => [party, [parties[party].publicJwk]])),
  };
  const text = `${JSON.stringify(pins)}\n`;
  if (readIfThere(places.portalPins) !== text) writeFileSync(places.portalPins, text);
}
