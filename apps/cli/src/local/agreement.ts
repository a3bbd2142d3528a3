import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import {
  canonicalManifest,
  manifestId,
  parseManifestFile,
  signManifest,
  type Manifest,
} from '@cloister/attestation';
import { PRODUCT_IDS } from '@cloister/attester';
import type { Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { readIfThere, type PartyKey } from './parties.ts';
import {
  BROKERS,
  PARTIES,
  SERVICES,
  type BrokerParty,
  type Party,
  type Places,
  type ServiceName,
} from './places.ts';

/** What a local deployment agrees on: everything that decides about security here. */
export interface Terms {
  readonly parties: Readonly<Record<Party, PartyKey>>;
  /** The keys with which the parties' brokers sign. */
  readonly brokerKeys: Readonly<Record<BrokerParty, Jwk>>;
  /** MRENCLAVE of each service that the deployment has. */
  readonly measurements: Readonly<Partial<Record<ServiceName, string>>>;
  /** SHA-256 of the simulated root's SubjectPublicKeyInfo. */
  readonly simulatedRoot: string;
  readonly issuer: { readonly iss: string; readonly keys: readonly string[] };
  readonly models: Manifest['models'];
  readonly portal: { readonly origin: string; readonly build: string };
  /** Seconds between an accepter's own head and the oldest that it takes; 900 unless told. */
  readonly lease?: number | undefined;
  /** How many of the parties must sign a change; all of them unless told. */
  readonly quorum?: number | undefined;
}

/** The lease of design 2.1, rule 8. */
const LEASE = 900;
/** Channel keys live a day (design 5). */
const DAY = 86_400;
/** What `records` may do in Redis: its own keys and channels. */
const CACHE_ROLE = '~records:* &records:* +@read +@write +@pubsub';
/** Whose broker witnesses whose. */
const WITNESS: Readonly<Record<BrokerParty, BrokerParty>> = {
  hospital: 'diagnostics',
  diagnostics: 'hospital',
};

/**
 * Writes the trust manifest of a local deployment, signed by all three parties. One that says the
 * same already is left as it is; otherwise the next serial follows, naming its predecessor.
 */
export async function writeAgreement(places: Places, terms: Terms): Promise<Manifest> {
  const before = readManifest(places.manifest);
  if (before !== undefined && before.secrets === undefined) {
    throw new CommandError(
      `${places.folder} was made before there were key brokers, and its records open with a key that is no longer used: remove it, or choose another folder with --data`,
    );
  }
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
  await writeSigned(places.manifest, manifest, terms.parties, PARTIES);
  return manifest;
}

/**
 * What happens where all but the hospital change the agreement: they admit other code as `records`,
 * and it is enough of them. Gives the file with what they signed.
 */
export async function writeBehindHospital(
  places: Places,
  parties: Readonly<Record<Party, PartyKey>>,
): Promise<string> {
  const before = readManifest(places.manifest);
  if (before === undefined) throw new CommandError('there is no manifest to change');
  const { records, ...services } = before.services;
  const [identity] = records?.identity.anyOf ?? [];
  if (identity?.tee !== 'sgx') throw new CommandError('there is no code to add to');
  const more = { ...identity, mrenclave: [...identity.mrenclave, 'ab'.repeat(32)] };
  const manifest: Manifest = {
    ...before,
    serial: before.serial + 1,
    previous: await manifestId(before),
    services: { ...services, records: { ...records, identity: { anyOf: [more] } } },
  };
  const file = `${places.manifest}.behind`;
  await writeSigned(file, manifest, parties, ['platform', 'diagnostics']);
  return file;
}

async function writeSigned(
  file: string,
  manifest: Manifest,
  parties: Readonly<Record<Party, PartyKey>>,
  signers: readonly Party[],
): Promise<void> {
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const party of signers) {
    signatures[party] = await signManifest(id, party, parties[party].privateKey);
  }
  const draft = `${file}.new`;
  writeFileSync(draft, `${JSON.stringify({ manifest, signatures }, null, 2)}\n`);
  chmodSync(draft, 0o644);
  renameSync(draft, file);
}

function readManifest(file: string): Manifest | undefined {
  const text = readIfThere(file);
  return text === undefined ? undefined : parseManifestFile(text).manifest;
}

function drawUp(terms: Terms, serial: number, previous?: string): Manifest {
  const services = SERVICES.flatMap((service) => {
    const mrenclave = terms.measurements[service];
    return mrenclave === undefined ? [] : [[service, agreeOn(service, mrenclave)] as const];
  });
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'local',
    profile: 'dev',
    serial,
    ...(previous === undefined ? {} : { previous }),
    lease: terms.lease ?? LEASE,
    parties: Object.fromEntries(PARTIES.map((party) => [party, partyOf(terms, party)])),
    quorum: { update: { of: [...PARTIES], min: terms.quorum ?? PARTIES.length } },
    evidence: { roots: { simulated: [terms.simulatedRoot] }, platforms: 'any' },
    issuers: [{ iss: terms.issuer.iss, keys: terms.issuer.keys, tee: ['simulated'] }],
    services: Object.fromEntries(services),
    ...(terms.models === undefined ? {} : { models: terms.models }),
    secrets: {
      'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] },
      'channel-key': { owner: 'hospital', type: 'hpke', to: ['records'], lifetime: DAY },
      'model-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
    },
    ...(terms.measurements.cache === undefined
      ? {}
      : { cache: { roles: { records: CACHE_ROLE } } }),
    counters: { 'records-log': { owner: 'hospital', to: ['records'] } },
    portal: terms.portal,
  };
}

function partyOf({ parties, brokerKeys }: Terms, party: Party): Manifest['parties'][string] {
  const broker = BROKERS.find((one) => one === party);
  return {
    keys: [parties[party].publicJwk],
    ...(broker === undefined
      ? {}
      : { broker: { sig: brokerKeys[broker], witness: WITNESS[broker] } }),
  };
}

function agreeOn(service: ServiceName, mrenclave: string): Manifest['services'][string] {
  return {
    identity: {
      anyOf: [
        {
          tee: 'sgx',
          mrenclave: [mrenclave],
          isvProdId: PRODUCT_IDS[service],
          minIsvSvn: 1,
          tcb: ['UpToDate'],
        },
      ],
    },
    config: { kems: ['x-wing'] },
  };
}
