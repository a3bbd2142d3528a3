import { platformRootDigest, type Manifest, type VaultAgreement } from '@cloister/attestation';
import {
  measureService,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import type { JsonObject } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import type { LocalModel } from '../../apps/cli/src/local/model.ts';
import type { PartyKey } from '../../apps/cli/src/local/parties.ts';
import { PARTIES, ROOT, type Party } from '../../apps/cli/src/local/places.ts';

/** The key's name in the vault. */
export const KEY = 'lamna-tenant';
/** Short, so that what ends with a lease ends within a test. */
const LEASE = 6;

/** What a manifest without serial is drawn up of, with a vault of the hospital. */
export async function firstDraft(terms: {
  readonly parties: Readonly<Record<Party, PartyKey>>;
  readonly platform: SimulatedMachine;
  readonly issuer: Pick<Manifest['issuers'][number], 'iss' | 'keys'>;
  readonly brokerKey: Jwk;
  readonly vault: VaultAgreement;
  readonly model: LocalModel;
}): Promise<JsonObject> {
  const { parties, platform, issuer, brokerKey, vault, model } = terms;
  const partyOf = (party: Party, more: JsonObject = {}): JsonObject => ({
    keys: [{ ...parties[party].publicJwk }],
    ...more,
  });
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'dev',
    serial: 0,
    lease: LEASE,
    parties: {
      hospital: partyOf('hospital', { vault: { url: vault.url, roots: [...vault.roots] } }),
      platform: partyOf('platform'),
      diagnostics: partyOf('diagnostics', { broker: { sig: { ...brokerKey } } }),
    },
    quorum: { update: { of: [...PARTIES], min: 3 } },
    evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
    issuers: [{ iss: issuer.iss, keys: [...issuer.keys], tee: ['simulated'] }],
    services: Object.fromEntries(await measured()),
    secrets: {
      // What the vault itself knows of the key: to whom its own manifest lets it go.
      [KEY]: { owner: 'diagnostics', type: 'imported', to: ['records'] },
      'tenant-key': tenantKey([1]),
      'model-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
    },
    models: {
      [model.name]: { [model.version]: { digest: model.digest, contract: model.contractDigest } },
    },
  };
}

/** The code of this repository. */
function measured(): Promise<[string, JsonObject][]> {
  return Promise.all(
    (['records', 'key-broker', 'attestation', 'inference'] as const).map(async (service) => {
      const code: JsonObject = {
        tee: 'sgx',
        mrenclave: [await measureService({ root: ROOT, service })],
        mrsigner: [SIMULATED_MRSIGNER],
        isvProdId: PRODUCT_IDS[service],
        minIsvSvn: 1,
        tcb: ['UpToDate'],
      };
      return [service, { identity: { anyOf: [code] } }] as [string, JsonObject];
    }),
  );
}

/** The tenant key with these versions, by the vault's numbers as by our own. */
export function tenantKey(numbers: readonly number[]): JsonObject {
  const versions = numbers.map((number) => [`${number}`, number.toString(16).padStart(32, '0')]);
  const vault = { key: KEY, versions: Object.fromEntries(versions) as JsonObject };
  return { owner: 'hospital', type: 'aes256', to: ['records'], vault };
}
