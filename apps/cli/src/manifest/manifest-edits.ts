import type { VaultAgreement } from '@cloister/attestation';
import { measureService, PRODUCT_IDS } from '@cloister/attester';
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { ROOT } from '../local/places.ts';
import { setAtPointer } from './diff-manifests.ts';
import { objectAt, readText } from './manifest-draft.ts';

/** What a first manifest is drawn up from. */
export interface FirstTerms {
  readonly deployment: string;
  readonly party: string;
  readonly key: Jwk;
  readonly lease: number;
  /** SHA-256 of a simulated root's SPKI; profile dev. Absent: hardware, profile production. */
  readonly simulatedRoot?: string | undefined;
}

/** The first manifest: one party, nothing agreed on yet. */
export function firstManifest({
  deployment,
  party,
  key,
  lease,
  simulatedRoot,
}: FirstTerms): JsonObject {
  const simulated = simulatedRoot !== undefined;
  return {
    apiVersion: 'cloister.dev/v1',
    deployment,
    profile: simulated ? 'dev' : 'production',
    serial: 1,
    lease,
    parties: { [party]: { keys: [{ ...key }] } },
    quorum: { update: { of: [party], min: 1 } },
    evidence: {
      roots: simulated ? { simulated: [simulatedRoot] } : 'hardware',
      platforms: 'any',
    },
    issuers: [],
    services: {},
  };
}

/**
 * Adds a party, its keys, its broker or its vault. A new party has to sign from now on: all must,
 * unless the quorum is set otherwise.
 */
export function withParty(
  json: JsonObject,
  name: string,
  change: {
    readonly keys: readonly Jwk[];
    readonly broker?: Jwk | undefined;
    readonly witness?: string | undefined;
    /** In the place of a broker; beside one it is refused. */
    readonly vault?: VaultAgreement | undefined;
  },
): JsonObject {
  const parties = objectAt(json, 'parties');
  const known = isJsonObject(parties[name]);
  const party = objectAt(parties, name);
  const keys = [
    ...(Array.isArray(party['keys']) ? party['keys'] : []),
    ...change.keys.map(copyKey),
  ];
  if (keys.length === 0) throw new CommandError(`${name} is new: give its public key with --key`);
  const before = objectAt(party, 'broker');
  const sig = change.broker === undefined ? before['sig'] : copyKey(change.broker);
  if (change.witness !== undefined && sig === undefined)
    throw new CommandError(`${name} has no broker that could be witnessed: --broker`);
  const witness = change.witness ?? before['witness'];
  const broker =
    sig === undefined ? {} : { broker: { sig, ...(witness === undefined ? {} : { witness }) } };
  const { vault } = change;
  const given = vault === undefined ? {} : { vault: { url: vault.url, roots: [...vault.roots] } };
  const next = { ...parties, [name]: { ...party, keys, ...broker, ...given } };
  const quorum = objectAt(objectAt(json, 'quorum'), 'update');
  const of = Array.isArray(quorum['of']) ? quorum['of'] : [];
  const update = known ? quorum : { of: [...of, name], min: of.length + 1 };
  return { ...json, parties: next, quorum: { update } };
}

/** Gives a service an identity: the only one, or one more. */
export function withService(
  json: JsonObject,
  name: string,
  identity: JsonObject,
  { add }: { readonly add: boolean },
): JsonObject {
  const services = objectAt(json, 'services');
  const service = objectAt(services, name);
  const before = objectAt(service, 'identity')['anyOf'];
  const anyOf = [...(add && Array.isArray(before) ? before : []), identity];
  return { ...json, services: { ...services, [name]: { ...service, identity: { anyOf } } } };
}

/** Sets any other member by its JSON pointer, or removes it. */
export function withMember(
  json: JsonObject,
  pointer: string,
  value: JsonValue | undefined,
): JsonObject {
  if (!/^(?:\/[^/]*)+$/.test(pointer)) throw new CommandError(`${pointer} is no JSON pointer`);
  if (/^\/(?:serial|previous)(?:\/|$)/.test(pointer))
    throw new CommandError('serial and predecessor follow from the manifest before');
  const next = setAtPointer(json, pointer, value);
  if (!isJsonObject(next)) throw new CommandError(`${pointer} leaves no manifest`);
  return next;
}

/** How the identity of a service is told. */
export interface IdentityTerms {
  /** From this repository's own sources. */
  readonly measure: boolean;
  readonly mrenclave: readonly string[];
  readonly isvProdId?: number | undefined;
  readonly minIsvSvn: number;
  /** A file with any identity of spec/key-broker.md 5.1. */
  readonly identity?: string | undefined;
}

/** One identity, as told. Exact measurements: a party puts in what it has built itself. */
export async function identityOf(service: string, terms: IdentityTerms): Promise<JsonObject> {
  const { measure, mrenclave, isvProdId, minIsvSvn, identity } = terms;
  if (identity !== undefined) {
    const json = parseJson(readText(identity), 'identity');
    return isJsonObject(json) ? json : refuse('an identity is a JSON object');
  }
  const measured = measure ? [await measureService({ root: ROOT, service })] : mrenclave;
  if (measured.length === 0) refuse('give --measure, --mrenclave or --identity');
  const ids: Readonly<Record<string, number>> = PRODUCT_IDS;
  const product = isvProdId ?? ids[service];
  if (product === undefined) refuse(`${service} has no product id of its own: --isv-prod-id`);
  return { tee: 'sgx', mrenclave: [...measured], isvProdId: product ?? 0, minIsvSvn };
}

function copyKey({ kty, crv = '', x = '', y = '' }: Jwk): JsonObject {
  return { kty, crv, x, y };
}

function refuse(why: string): never {
  throw new CommandError(why);
}
