/** Signed manifests that follow each other, as text: for the tests of what a portal follows. */
import assert from 'node:assert/strict';
import { manifestId, parseManifest, signManifest } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import {
  makeP256,
  publicJwk,
  type Parties,
} from '../../../../packages/attestation/src/peer/scene.test.ts';
import type { KeptManifests } from './agreement.ts';

export const PARTIES = ['hospital', 'platform', 'diagnostics'] as const;
type Party = (typeof PARTIES)[number];

/** A manifest file as it is passed on, and its id. */
export interface Made {
  readonly id: string;
  readonly text: string;
}

/** Signs a manifest with the keys of some parties. */
export async function makeFile(
  draft: JsonObject,
  keys: Parties,
  signers: readonly Party[] = PARTIES,
): Promise<Made> {
  const manifest = parseManifest(JSON.stringify(draft));
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const party of signers)
    signatures[party] = await signManifest(id, party, keys[party].privateKey);
  return { id, text: JSON.stringify({ manifest, signatures }) };
}

/** A small manifest of these parties' keys. */
export async function draftOf(keys: Parties, members: JsonObject): Promise<JsonObject> {
  const parties: JsonObject = {};
  for (const party of PARTIES) parties[party] = { keys: [{ ...(await publicJwk(keys[party])) }] };
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'dev',
    lease: 900,
    parties,
    quorum: { update: { of: [...PARTIES], min: 3 } },
    evidence: { roots: { simulated: ['ab'.repeat(32)] }, platforms: 'any' },
    issuers: [],
    services: {},
    ...members,
  };
}

/** New keys of all parties. */
export async function makeParties(): Promise<Parties> {
  const [hospital, platform, diagnostics] = await Promise.all([makeP256(), makeP256(), makeP256()]);
  return { hospital, platform, diagnostics };
}

/** A storage of manifests, and what is in it. */
export function keeping(...texts: string[]): KeptManifests & { readonly held: () => string[] } {
  let held: string[] = [...texts];
  return {
    read: () => held,
    keep(next) {
      assert.ok(next.length > 0);
      held = [...next];
    },
    held: () => held,
  };
}
