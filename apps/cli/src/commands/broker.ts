import { createHttpClient } from '@cloister/service';
import { WrongUseError } from '../broker/arguments.ts';
import { ASKING } from '../broker/asking-actions.ts';
import { DECIDING } from '../broker/deciding-actions.ts';
import { refusalOf, type BrokerMeans } from '../broker/open-broker.ts';
import { RECOVERING } from '../broker/recovery-actions.ts';
import { describeChecks } from '../print-checks.ts';

const HELP = `cloister broker <action> <url> \u2026   for the people of a party: their own key broker

Looking
  state <url>                                 in which state it is; what it waits for
  secrets <url>                               the secrets of the manifest with their versions (no values)
  counter <url> <name>                        where a counter stands, signed
  ca <url>                                    the certificate authorities of services that count now, as PEM
  explain <url> <service url|evidence file>   which check and which predicate refuses that evidence, and
           [--service <name>]                 which secrets there would be
  log <url> [--keep <file>] [--all]           verifies the audit log and shows it; --keep remembers it, so that the
                                              next look proves that nothing of it was changed
  log <file> [--all]                          the same from what was kept, without the broker

Deciding: signed by more than half of the party's keys
  import <url> <secret> <file>                the next version of a secret of the party's own
  rotate <url> <secret>                       the next version of a secret that the broker makes
  destroy <url> <secret> <version>            ends a version that was replaced: what it sealed is lost
  recovery-set <url> --k <n> --recipient <jwk>\u2026 --out <folder>
                                              shares for people of the party; ends the set before
  override <url> --reason <text>              lets a broker serve whose disk is older than what its witness saw
  counter-reset <url> <counter> --from <n> --value <n> --digest <sha256> --reason <text>
  sign <folder> --key <file>                  a colleague's statement: shows it, signs it
  activate <url> <manifest file>              hands in a signed manifest

  admit-machine <url> <replica's url|machine id> [--drop]
                                              a sealed replica on that machine is opened by a running one

Recovery
  share-key <file>                            a key for a person who is to hold a share: <file>, <file>.jwk
  share <url> <share file> --share-key <file> hands a share to a sealed broker, after that was verified

Options of all that speak to a broker
  --party <name>      whose broker it must be
  --manifest <file>   the trust manifest (default: the one of \`cloister up\` on this machine)
  --key <file>        a private key of the party, as of \`cloister manifest key\`; may be repeated
  --collect <folder>  where people elsewhere sign: the statement is put there, and their signatures awaited
  --json              the answer as JSON

The broker is verified first: by fresh evidence, by the manifest, and by the key that the manifest names.
Exit codes: 0 done, 2 refused, 1 the world failed, 64 wrong use.
`;

/** What an action of this command needs besides its arguments. */
export type BrokerAction = (args: readonly string[], means: BrokerMeans) => Promise<number>;

const ACTIONS: ReadonlyMap<string, BrokerAction> = new Map([...ASKING, ...DECIDING, ...RECOVERING]);

/** `cloister broker \u2026`: what a party's people do with their key broker. */
export async function run(args: readonly string[], given?: BrokerMeans): Promise<number> {
  const [name = '', ...rest] = args;
  const action = ACTIONS.get(name);
  if (action === undefined || rest.includes('--help')) {
    process.stderr.write(HELP);
    return name === '--help' || rest.includes('--help') ? 0 : 64;
  }
  const client = given === undefined ? createHttpClient() : undefined;
  const means = given ?? { transport: client ?? createHttpClient(), now: () => new Date() };
  try {
    return await action(rest, means);
  } catch (error) {
    if (error instanceof WrongUseError) {
      process.stderr.write(`cloister broker ${name}: ${error.message}\n\n${HELP}`);
      return 64;
    }
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    const { code, message, checks } = refusal;
    if (rest.includes('--json'))
      process.stdout.write(`${JSON.stringify({ ok: false, code, message, checks })}\n`);
    else {
      const failed = checks.filter(({ outcome }) => outcome === 'failed');
      process.stderr.write(`refused: ${code}: ${message}\n${describeChecks(failed)}`);
    }
    return 2;
  } finally {
    client?.close();
  }
}
