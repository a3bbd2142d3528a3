import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import {
  canonicalManifest,
  manifestId,
  parseManifestFile,
  signManifest,
  type Manifest,
} from '@cloister/attestation';
import { PRODUCT_IDS } from '@cloister/attester';
import { readIfThere, type PartyKey } from './parties.ts';
import { PARTIES, SERVICES, type Party, type Places, type ServiceName } from './places.ts';

/** What a local deployment agrees on: everything that decides about security here. */
export interface Terms {
  readonly parties: Readonly<Record<Party, PartyKey>>;
  /** MRENCLAVE of each service. */
  readonly measurements: Readonly<Record<ServiceName, string>>;
  /** SHA-256 of the simulated root's SubjectPublicKeyInfo. */
  readonly simulatedRoot: string;
  readonly issuer: { readonly iss: string; readonly keys: readonly string[] };
  readonly models: Manifest['models'];
  readonly portal: { readonly origin: string; readonly build: string };
}

/** Seconds between an accepter's own head and the oldest that it takes (design 2.1, rule 8). */
const LEASE = 900;

/**
 * Writes the trust manifest of a local deployment, signed by all three parties. One that says the
 * same already is left as it is; otherwise the next serial follows, naming its predecessor.
 */
export async function writeAgreement(places: Places, terms: Terms): Promise<Manifest> {
  const before = readManifest(places.manifest);
  const same = before === undefined ? undefined : drawUp(terms, before.serial, before.previous);
  if (
    before !== undefined &&
    same !== undefined &&
    canonicalManifest(same) === canonicalManifest(before)
  ) {
    return before;
  }
  const manifest =
    before === undefined
      ? drawUp(terms, 1)
      : drawUp(terms, before.serial + 1, await manifestId(before));
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const party of PARTIES) {
    signatures[party] = await signManifest(id, party, terms.parties[party].privateKey);
  }
  const draft = `${places.manifest}.new`;
  writeFileSync(draft, `${JSON.stringify({ manifest, signatures }, null, 2)}\n`);
  chmodSync(draft, 0o644);
  renameSync(draft, places.manifest);
  return manifest;
}

function readManifest(file: string): Manifest | undefined {
  const text = readIfThere(file);
  return text === undefined ? undefined : parseManifestFile(text).manifest;
}

function drawUp(terms: Terms, serial: number, previous?: string): Manifest {
  const identity = (service: ServiceName) => ({
    anyOf: [
      {
        tee: 'sgx' as const,
        mrenclave: [terms.measurements[service]],
        isvProdId: PRODUCT_IDS[service] ?? 0,
        minIsvSvn: 1,
        tcb: ['UpToDate' as const],
      },
    ],
  });
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'local',
    profile: 'dev',
    serial,
    ...(previous === undefined ? {} : { previous }),
    lease: LEASE,
    parties: Object.fromEntries(
      PARTIES.map((party) => [party, { keys: [terms.parties[party].publicJwk] }]),
    ),
    quorum: { update: { of: [...PARTIES], min: PARTIES.length } },
    evidence: { roots: { simulated: [terms.simulatedRoot] }, platforms: 'any' },
    issuers: [{ iss: terms.issuer.iss, keys: terms.issuer.keys, tee: ['simulated'] }],
    services: Object.fromEntries(
      SERVICES.map((service) => [
        service,
        { identity: identity(service), config: { kems: ['x-wing' as const] } },
      ]),
    ),
    ...(terms.models === undefined ? {} : { models: terms.models }),
    portal: terms.portal,
  };
}
