import { MalformedError, parseJson, type JsonValue } from '@cloister/bytes';
import { Shape } from '../shape.ts';
import type {
  EvidenceRules,
  Manifest,
  ModelAgreement,
  Party,
  SecretAgreement,
  ServiceAgreement,
} from './manifest.ts';
import { parseIdentity } from './parse-identity.ts';
import { parseIssuer } from './parse-issuer.ts';
import { KeyRing } from './party-key.ts';
import { parseVault, parseVaultKey } from './parse-vault.ts';

const DOCUMENT = 'manifest';
const NAME = /^[a-z][a-z0-9-]{0,62}$/u;
const MODEL_NAME = /^[\w.-]{1,128}$/u;
const MAX_SIZE = 1024 * 1024;

/** A manifest file: the manifest, and a detached JWS for each party that signed it. */
export interface ManifestFile {
  readonly manifest: Manifest;
  readonly signatures: Readonly<Record<string, string>>;
}

/**
 * Reads the text of a manifest (spec/key-broker.md 5.1). Strict: unknown members, references to
 * parties or services that it does not name, keys that stand for two parties, simulated roots
 * outside profile dev are refused with a MalformedError that names the JSON pointer.
 */
export function parseManifest(text: string): Manifest {
  return readManifest(new Shape(parseText(text), DOCUMENT));
}

/** Reads a manifest file: `{"manifest": {...}, "signatures": {"<party>": "<JWS>"}}`. */
export function parseManifestFile(text: string): ManifestFile {
  const members = new Shape(parseText(text), 'manifest file').members(['manifest', 'signatures']);
  const signatures = members
    .get('signatures')
    .entries(NAME)
    .map(([party, jws]) => [party, jws.string(/^[\w.-]{1,4096}$/u)] as const);
  return {
    manifest: readManifest(new Shape(members.get('manifest').value, DOCUMENT)),
    signatures: Object.fromEntries(signatures),
  };
}

function parseText(text: string): JsonValue {
  if (text.length > MAX_SIZE) throw new MalformedError('too_large', DOCUMENT);
  return parseJson(text, DOCUMENT, { maxDepth: 16, maxLength: MAX_SIZE });
}

function readManifest(document: Shape): Manifest {
  const members = document.members(
    [
      'apiVersion',
      'deployment',
      'profile',
      'serial',
      'lease',
      'parties',
      'quorum',
      'evidence',
      'issuers',
      'services',
    ],
    ['previous', 'models', 'secrets', 'cache', 'counters', 'portal'],
  );
  const profile = members.get('profile').oneOf(['production', 'dev']);
  const serial = members.get('serial').integer(1);
  const previous = members.maybe('previous');
  if ((previous === undefined) !== (serial === 1)) (previous ?? members.get('serial')).fail();
  const keys = new KeyRing();
  const parties = members.get('parties').entries(NAME);
  if (parties.length === 0) members.get('parties').fail();
  const names = new Names(parties.map(([name]) => name));
  const vaults = new Names(parties.flatMap(([name, party]) => (hasVault(party) ? [name] : [])));
  const services = members.get('services').entries(NAME);
  const serviceNames = new Names(services.map(([name]) => name));
  const evidence = readEvidence(members.get('evidence'), profile);
  const models = members.maybe('models');
  const secrets = members.maybe('secrets');
  const cache = members.maybe('cache');
  const counters = members.maybe('counters');
  const portal = members.maybe('portal');
  return {
    apiVersion: members.get('apiVersion').oneOf(['cloister.dev/v1']),
    deployment: members.get('deployment').string(NAME),
    profile,
    serial,
    ...(previous === undefined ? {} : { previous: previous.hex(32) }),
    lease: members.get('lease').integer(1, 86_400),
    parties: record(parties, (party) => readParty(party, { parties: names, vaults, keys })),
    quorum: { update: readQuorum(members.get('quorum'), names) },
    evidence,
    issuers: distinctIssuers(members.get('issuers'), profile, evidence),
    services: record(services, readService),
    ...(models === undefined ? {} : { models: readModels(models) }),
    ...(secrets === undefined
      ? {}
      : {
          secrets: record(secrets.entries(NAME), (secret) =>
            readSecret(secret, { parties: names, vaults, services: serviceNames }),
          ),
        }),
    ...(cache === undefined ? {} : { cache: readCache(cache, serviceNames) }),
    ...(counters === undefined
      ? {}
      : {
          counters: record(counters.entries(NAME), (counter) => {
            const counterMembers = counter.members(['owner', 'to']);
            const owner = names.read(counterMembers.get('owner'));
            // A vault counts nothing.
            if (vaults.has(owner)) counterMembers.get('owner').fail();
            return {
              owner,
              to: counterMembers.get('to').distinct((to) => serviceNames.read(to), { min: 1 }),
            };
          }),
        }),
    ...(portal === undefined ? {} : { portal: readPortal(portal) }),
  };
}

/** Names that other parts of the document may refer to. */
class Names {
  readonly #names: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.#names = new Set(names);
  }

  /** A reference to one of them. */
  read(shape: Shape): string {
    const name = shape.string(NAME);
    return this.has(name) ? name : shape.fail();
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }
}

function record<T>(
  entries: readonly (readonly [string, Shape])[],
  read: (shape: Shape) => T,
): Record<string, T> {
  return Object.fromEntries(entries.map(([name, shape]) => [name, read(shape)]));
}

function hasVault(party: Shape): boolean {
  return Object.hasOwn(party.object(), 'vault');
}

function readParty(
  party: Shape,
  { parties, vaults, keys }: { parties: Names; vaults: Names; keys: KeyRing },
): Party {
  const members = party.members(['keys'], ['broker', 'vault']);
  const vault = members.maybe('vault');
  if (vault !== undefined && members.maybe('broker') !== undefined) vault.fail();
  const broker = members.maybe('broker')?.members(['sig'], ['witness']);
  const witness = broker?.maybe('witness');
  // A vault has no heads, and so witnesses none.
  if (witness !== undefined && vaults.has(parties.read(witness))) witness.fail();
  return {
    keys: members
      .get('keys')
      .items({ min: 1, max: 16 })
      .map((key) => keys.read(key)),
    ...(broker === undefined
      ? {}
      : {
          broker: {
            sig: keys.read(broker.get('sig')),
            ...(witness === undefined ? {} : { witness: parties.read(witness) }),
          },
        }),
    ...(vault === undefined ? {} : { vault: parseVault(vault) }),
  };
}

function readQuorum(quorum: Shape, parties: Names): { of: string[]; min: number } {
  const update = quorum.members(['update']).get('update').members(['of', 'min']);
  const of = update.get('of').distinct((party) => parties.read(party), { min: 1 });
  return { of, min: update.get('min').integer(1, of.length) };
}

function readEvidence(evidence: Shape, profile: Manifest['profile']): EvidenceRules {
  const members = evidence.members(['roots', 'platforms'], ['minTcbEvaluationDataNumber']);
  const roots = members.get('roots');
  const simulated = roots.value === 'hardware' ? undefined : roots.members(['simulated']);
  if (simulated !== undefined && profile !== 'dev') roots.fail();
  const platforms = members.get('platforms');
  const min = members.maybe('minTcbEvaluationDataNumber');
  return {
    roots:
      simulated === undefined
        ? 'hardware'
        : { simulated: simulated.get('simulated').distinct((root) => root.hex(32), { min: 1 }) },
    ...(min === undefined ? {} : { minTcbEvaluationDataNumber: min.integer() }),
    platforms:
      platforms.value === 'any'
        ? 'any'
        : platforms.distinct((platform) => platform.string(/^(?:[0-9a-f]{2}){8,64}$/u), { min: 1 }),
  };
}

function distinctIssuers(
  issuers: Shape,
  profile: Manifest['profile'],
  evidence: EvidenceRules,
): Manifest['issuers'] {
  const seen = new Set<string>();
  return issuers.items({ max: 32 }).map((item) => {
    const issuer = parseIssuer(item, profile, evidence.roots !== 'hardware');
    if (seen.has(issuer.iss)) item.fail();
    seen.add(issuer.iss);
    return issuer;
  });
}

function readService(service: Shape): ServiceAgreement {
  const members = service.members(['identity'], ['built', 'config']);
  const anyOf = members.get('identity').members(['anyOf']).get('anyOf').items({ min: 1, max: 64 });
  const built = members.maybe('built');
  const config = members.maybe('config');
  return {
    identity: { anyOf: anyOf.map(parseIdentity) },
    ...(built === undefined ? {} : { built: readBuilt(built) }),
    ...(config === undefined ? {} : { config: readConfig(config) }),
  };
}

function readBuilt(built: Shape): NonNullable<ServiceAgreement['built']> {
  const members = built.members([], ['commit', 'lockfile', 'node']);
  const commit = members.maybe('commit')?.string(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/u);
  const lockfile = members.maybe('lockfile')?.hex(32);
  const node = members.maybe('node')?.hex(32);
  return {
    ...(commit === undefined ? {} : { commit }),
    ...(lockfile === undefined ? {} : { lockfile }),
    ...(node === undefined ? {} : { node }),
  };
}

function readConfig(config: Shape): NonNullable<ServiceAgreement['config']> {
  const members = config.members([], ['identityProvider', 'auditAnchor', 'kems']);
  const provider = members.maybe('identityProvider')?.members(['issuer', 'keys', 'audience']);
  const auditAnchor = members.maybe('auditAnchor')?.string(/^(?:answer|[1-9]\d{0,5}(?:ms|s|m))$/u);
  const kems = members
    .maybe('kems')
    ?.distinct((kem) => kem.oneOf(['x-wing', 'x25519', 'p-256'] as const), { min: 1 });
  return {
    ...(provider === undefined
      ? {}
      : {
          identityProvider: {
            issuer: provider.get('issuer').string(/^https?:\/\/[\w.:/-]{1,512}$/u),
            keys: provider.get('keys').distinct((key) => key.string(/^[\w-]{43}$/u), { min: 1 }),
            audience: provider.get('audience').string(/^[\w.:/-]{1,256}$/u),
          },
        }),
    ...(auditAnchor === undefined ? {} : { auditAnchor }),
    ...(kems === undefined ? {} : { kems }),
  };
}

function readModels(models: Shape): NonNullable<Manifest['models']> {
  return record(models.entries(MODEL_NAME), (versions) =>
    record(versions.entries(MODEL_NAME), (version): ModelAgreement => {
      const members = version.members(['digest', 'contract']);
      return { digest: members.get('digest').hex(32), contract: members.get('contract').hex(32) };
    }),
  );
}

function readSecret(
  secret: Shape,
  { parties, vaults, services }: { parties: Names; vaults: Names; services: Names },
): SecretAgreement {
  const members = secret.members(['owner', 'type', 'to'], ['lifetime', 'vault']);
  const lifetime = members.maybe('lifetime');
  const owner = parties.read(members.get('owner'));
  const type = members.get('type').oneOf(['aes256', 'hpke', 'imported'] as const);
  const isInVault = vaults.has(owner);
  // A vault releases keys of its own kinds, and makes no successors by itself.
  if (isInVault && type === 'hpke') members.get('type').fail();
  if (isInVault) lifetime?.fail();
  const vault = isInVault ? members.get('vault') : members.maybe('vault');
  if (!isInVault) vault?.fail();
  return {
    owner,
    type,
    to: members.get('to').distinct((to) => services.read(to), { min: 1 }),
    ...(lifetime === undefined ? {} : { lifetime: lifetime.integer(1) }),
    ...(vault === undefined ? {} : { vault: parseVaultKey(vault) }),
  };
}

function readCache(cache: Shape, services: Names): NonNullable<Manifest['cache']> {
  const roles = cache.members(['roles']).get('roles').entries(NAME);
  for (const [name, role] of roles) if (!services.has(name)) role.fail();
  return { roles: record(roles, (role) => role.string(/^[\x20-\x7e]{1,1024}$/u)) };
}

function readPortal(portal: Shape): NonNullable<Manifest['portal']> {
  const members = portal.members(['origin', 'build']);
  return {
    origin: members.get('origin').string(/^https?:\/\/[\w.-]{1,253}(?::\d{1,5})?$/u),
    build: members.get('build').hex(32),
  };
}
