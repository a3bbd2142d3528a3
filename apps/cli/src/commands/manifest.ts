import { parseArgs, type ParseArgsConfig } from 'node:util';
import { existsSync } from 'node:fs';
import { manifestId } from '@cloister/attestation';
import { parseJson, parseJsonObject } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { describeManifest } from '../manifest/describe-manifest.ts';
import { diffJson } from '../manifest/diff-manifests.ts';
import {
  checkDraft,
  readManifestFile,
  reviseManifest,
  writeManifestFile,
  type Revision,
} from '../manifest/manifest-draft.ts';
import {
  firstManifest,
  identityOf,
  withMember,
  withParty,
  withService,
} from '../manifest/manifest-edits.ts';
import { makePartyKey, readPrivateKey, readPublicKey } from '../manifest/party-key-file.ts';
import {
  foreignServices,
  mergeFiles,
  readPins,
  signFile,
  verifyFile,
} from '../manifest/sign-manifest-file.ts';
import { vaultPolicy } from '../manifest/vault-policy.ts';
import { readVaultRoots } from '../manifest/vault-roots.ts';
import { describeChecks } from '../print-checks.ts';

const HELP = `cloister manifest <action> …   the trust manifest: parties on different machines exchange one file

  key <file>                                  a new party key: <file> (keep it), <file>.jwk (give it away)
  init <file> --deployment <name> --party <name> --key <jwk>
              [--lease <seconds>] [--simulated-root <sha256>]
  add-party <file> <name> [--key <jwk>]… [--broker <jwk>] [--witness <party>]
              | [--vault <url> --vault-root <pem>…]     a vault that speaks Azure's Secure Key Release
  set-service <file> <service> --measure | --mrenclave <hex>… | --identity <json file>
              [--isv-prod-id <n>] [--min-isv-svn <n>] [--add]
  set <file> <pointer> <json>                 any other member: issuers, secrets, models, quorum …
  unset <file> <pointer>
  sign <file> --party <name> --key <file> [--predecessor <file>] [--check-measurements]
  merge <file> <other>                        the signatures of two copies of one manifest
  verify <file> [--predecessor <file>]… [--party <own>] [--pin <party>=<jwk>]…
  diff <file> <other>                         what differs, by JSON pointer; exit code 2 where something does
  show <file> [--json]
  vault-policy <file> <secret>                the release policy of a key in a vault, as this manifest wants it

A manifest that its quorum has signed is never changed: a change begins the one that follows it.
An identity of any TEE (snp, tdx, azure-cvm) goes in by --identity: packages/attestation/README.md shows one.
Whatever changes, nobody has signed the result. Exit codes: 0 done, 2 refused, 1 the world failed, 64 wrong use.
`;

type Action = (args: readonly string[]) => Promise<number>;

/** `cloister manifest …`: draws up, signs and verifies trust manifests. */
export async function run(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const action = ACTIONS.get(name);
  if (action === undefined || rest.includes('--help')) {
    process.stderr.write(HELP);
    return name === '--help' || rest.includes('--help') ? 0 : 64;
  }
  try {
    return await action(rest);
  } catch (error) {
    if (!(error instanceof WrongUseError)) throw error;
    process.stderr.write(`cloister manifest ${name}: ${error.message}\n\n${HELP}`);
    return 64;
  }
}

class WrongUseError extends CommandError {}

const many = { type: 'string', multiple: true } as const;
const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  [
    'key',
    async (args) => {
      const [file] = read(args, 1, {}).places;
      const jwk = await makePartyKey(file);
      say(`made ${file} and ${file}.jwk (thumbprint ${await jwkThumbprint(jwk)})`);
      return 0;
    },
  ],
  [
    'init',
    async (args) => {
      const options = {
        deployment: text,
        party: text,
        key: text,
        lease: text,
        'simulated-root': text,
      };
      const { places, values } = read(args, 1, options);
      const [file] = places;
      if (existsSync(file)) throw new CommandError(`${file} is there already`);
      const manifest = checkDraft(
        file,
        firstManifest({
          deployment: need(values['deployment'], '--deployment'),
          party: need(values['party'], '--party'),
          key: readPublicKey(need(values['key'], '--key')),
          lease: Number(values['lease'] ?? 900),
          simulatedRoot: values['simulated-root'],
        }),
      );
      writeManifestFile(file, { manifest, signatures: {} });
      say(`drew up ${file}, serial 1, id ${await manifestId(manifest)}`);
      return 0;
    },
  ],
  [
    'add-party',
    async (args) => {
      const { places, values, lists } = read(args, 2, {
        key: many,
        broker: text,
        witness: text,
        vault: text,
        'vault-root': many,
      });
      const [file, party] = places;
      const { broker, witness, vault } = values;
      const roots = lists['vault-root'] ?? [];
      if ((vault === undefined) !== (roots.length === 0))
        throw new WrongUseError('--vault and --vault-root go together');
      const change = {
        keys: (lists['key'] ?? []).map(readPublicKey),
        broker: broker === undefined ? undefined : readPublicKey(broker),
        witness,
        vault: vault === undefined ? undefined : { url: vault, roots: await readVaultRoots(roots) },
      };
      return tell(file, await reviseManifest(file, (json) => withParty(json, party, change)));
    },
  ],
  [
    'set-service',
    async (args) => {
      const options = {
        measure: flag,
        mrenclave: many,
        identity: text,
        'isv-prod-id': text,
        'min-isv-svn': text,
        add: flag,
      };
      const { places, values, lists, flags } = read(args, 2, options);
      const [file, service] = places;
      const product = values['isv-prod-id'];
      const identity = await identityOf(service, {
        measure: flags.has('measure'),
        mrenclave: lists['mrenclave'] ?? [],
        identity: values['identity'],
        isvProdId: product === undefined ? undefined : Number(product),
        minIsvSvn: Number(values['min-isv-svn'] ?? 1),
      });
      const add = flags.has('add');
      const change = await reviseManifest(file, (json) =>
        withService(json, service, identity, { add }),
      );
      return tell(file, change);
    },
  ],
  [
    'set',
    async (args) => {
      const [file, pointer, json] = read(args, 3, {}).places;
      const value = parseJson(json, 'value');
      return tell(file, await reviseManifest(file, (before) => withMember(before, pointer, value)));
    },
  ],
  [
    'unset',
    async (args) => {
      const [file, pointer] = read(args, 2, {}).places;
      const change = await reviseManifest(file, (json) => withMember(json, pointer, undefined));
      return tell(file, change);
    },
  ],
  [
    'sign',
    async (args) => {
      const options = { party: text, key: text, predecessor: text, 'check-measurements': flag };
      const { places, values, flags } = read(args, 1, options);
      const [file] = places;
      const draft = readManifestFile(file);
      if (flags.has('check-measurements')) {
        const foreign = await foreignServices(draft);
        if (foreign.length > 0) {
          say(`not signed: not built from these sources: ${foreign.join(', ')}`);
          return 2;
        }
      }
      const { predecessor } = values;
      const before = predecessor === undefined ? undefined : readManifestFile(predecessor);
      const party = need(values['party'], '--party');
      const signer = await readPrivateKey(need(values['key'], '--key'));
      const signed = await signFile(draft, party, signer, before);
      writeManifestFile(file, signed);
      say(`${party} signed ${await manifestId(draft.manifest)} (serial ${draft.manifest.serial})`);
      return 0;
    },
  ],
  [
    'merge',
    async (args) => {
      const [file, other] = read(args, 2, {}).places;
      const merged = await mergeFiles(readManifestFile(file), readManifestFile(other));
      writeManifestFile(file, merged);
      say(`signed by ${Object.keys(merged.signatures).join(', ') || 'nobody'}`);
      return 0;
    },
  ],
  [
    'verify',
    async (args) => {
      const { places, values, lists } = read(args, 1, {
        predecessor: many,
        party: text,
        pin: many,
      });
      const file = readManifestFile(places[0]);
      const { party } = values;
      const pins = lists['pin'];
      const verdict = await verifyFile(file, {
        predecessors: (lists['predecessor'] ?? []).map(readManifestFile),
        ownParty: party,
        pinned: pins === undefined ? undefined : readPins(pins),
      });
      say(`manifest ${await manifestId(file.manifest)}, serial ${file.manifest.serial}\n`);
      process.stdout.write(describeChecks(verdict.checks));
      say(verdict.ok ? '\nverified' : `\nrefused: ${verdict.code}`);
      return verdict.ok ? 0 : 2;
    },
  ],
  [
    'diff',
    async (args) => {
      const [one, other] = read(args, 2, {}).places;
      const [a, b] = [one, other].map((file) =>
        parseJsonObject(JSON.stringify(readManifestFile(file).manifest), file),
      );
      const differences = diffJson(a, b);
      for (const { pointer, before, after } of differences) {
        if (before !== undefined) say(`- ${pointer} ${JSON.stringify(before)}`);
        if (after !== undefined) say(`+ ${pointer} ${JSON.stringify(after)}`);
      }
      return differences.length === 0 ? 0 : 2;
    },
  ],
  [
    'show',
    async (args) => {
      const { places, flags } = read(args, 1, { json: flag });
      const file = readManifestFile(places[0]);
      const id = await manifestId(file.manifest);
      if (flags.has('json')) say(JSON.stringify({ id, ...file }));
      else process.stdout.write(describeManifest(file, id));
      return 0;
    },
  ],
  [
    'vault-policy',
    async (args) => {
      const [file, secret] = read(args, 2, {}).places;
      const { manifest } = readManifestFile(file);
      say(JSON.stringify(await vaultPolicy(manifest, secret), null, 2));
      return 0;
    },
  ],
]);

interface Read<N extends number> {
  readonly places: N extends 1
    ? readonly [string]
    : N extends 2
      ? readonly [string, string]
      : readonly [string, string, string];
  readonly values: Readonly<Record<string, string | undefined>>;
  readonly lists: Readonly<Record<string, readonly string[] | undefined>>;
  readonly flags: ReadonlySet<string>;
}

/** The arguments of an action: so many places, and its options. WrongUseError for others. */
function read<N extends 1 | 2 | 3>(
  args: readonly string[],
  count: N,
  options: NonNullable<ParseArgsConfig['options']>,
): Read<N> {
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    throw new WrongUseError(error instanceof Error ? error.message : 'arguments', { cause: error });
  }
  const { positionals } = parsed;
  if (positionals.length !== count) throw new WrongUseError('wrong number of arguments');
  const values: Record<string, string> = {};
  const lists: Record<string, string[]> = {};
  const flags = new Set<string>();
  for (const [name, value] of Object.entries(parsed.values)) {
    if (typeof value === 'string') values[name] = value;
    else if (Array.isArray(value)) lists[name] = value.map(String);
    else if (value === true) flags.add(name);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- their number was just compared
  return { places: positionals as unknown as Read<N>['places'], values, lists, flags };
}

function need(value: string | undefined, option: string): string {
  if (value === undefined) throw new WrongUseError(`${option} is needed`);
  return value;
}

function tell(file: string, { id, serial, follows }: Revision): number {
  say(
    `${file}: serial ${serial}${follows ? ' (a new one)' : ''}, id ${id}; to be signed by all again`,
  );
  return 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
