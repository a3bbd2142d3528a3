import { platformRootDigest } from '@cloister/attestation';
import { PRODUCT_IDS, SIMULATED_MRSIGNER } from '@cloister/attester';
import type { JsonObject } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { publicJwk } from './scene-keys.test.ts';
import type { World } from './scene.test.ts';

export const ISSUER = 'https://attest.example';
export const PARTIES = ['hospital', 'platform', 'diagnostics'] as const;
export type PartyName = (typeof PARTIES)[number];
/** Services with code of their own, as the manifest admits it. */
export const CODE = {
  'key-broker': 'b0'.repeat(32),
  records: 'a1'.repeat(32),
  inference: 'a2'.repeat(32),
} as const;
export type ServiceName = keyof typeof CODE;

/** The first manifest of a world: both brokers by their keys, secrets and a counter. */
export async function firstDraft(world: World, changes: JsonObject = {}): Promise<JsonObject> {
  const parties: JsonObject = {};
  for (const party of PARTIES) {
    const keys = await Promise.all(world.parties[party].map((pair) => publicJwk(pair)));
    const running = world.running.get(party);
    const witness = party === 'hospital' ? 'diagnostics' : 'hospital';
    parties[party] = {
      keys: keys.map((key) => ({ ...key })),
      ...(running === undefined
        ? {}
        : { broker: { sig: { ...running.broker.requireOpen().keys.jwk }, witness } }),
    };
  }
  const services: JsonObject = {};
  for (const [service, mrenclave] of Object.entries(CODE))
    services[service] = { identity: { anyOf: [identityOf(service as ServiceName, mrenclave)] } };
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'dev',
    serial: 1,
    lease: 900,
    parties,
    quorum: { update: { of: [...PARTIES], min: 3 } },
    evidence: {
      roots: { simulated: [await platformRootDigest(world.platform)] },
      platforms: 'any',
    },
    issuers: [{ iss: ISSUER, keys: [await jwkThumbprint(world.issuerJwk)], tee: ['simulated'] }],
    services,
    secrets: {
      'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] },
      'channel-key': { owner: 'hospital', type: 'hpke', to: ['records'], lifetime: 86_400 },
      'model-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
    },
    counters: { 'records-log': { owner: 'hospital', to: ['records'] } },
    ...changes,
  };
}

/** One SGX identity of a service. */
export function identityOf(service: ServiceName, ...mrenclave: readonly string[]): JsonObject {
  const code = { mrenclave: [...mrenclave], mrsigner: [SIMULATED_MRSIGNER] };
  return { tee: 'sgx', ...code, isvProdId: PRODUCT_IDS[service], minIsvSvn: 1, tcb: ['UpToDate'] };
}
