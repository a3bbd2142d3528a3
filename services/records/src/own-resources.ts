import type { JsonObject } from '@cloister/bytes';
import type { Random } from '@cloister/sealing';
import { newId } from './new-id.ts';
import { RefusedError } from './refused-error.ts';
import type { Account } from './sign-in/accounts.ts';
import type { Directory } from './store/directory.ts';
import type { Ledger } from './store/ledger.ts';
import type { NewEntry } from './store/sealed-group.ts';

/** The resources that stand for the service and its users. */
export interface OwnResources {
  /** `Device/<id>` of the service. */
  readonly device: string;
  /** `Practitioner/<id>` by user name. */
  readonly practitioners: ReadonlyMap<string, string>;
}

const SERVICE_SYSTEM = 'urn:cloister:service';
const USER_SYSTEM = 'urn:cloister:user';

/**
 * Finds the service's Device and a Practitioner for each account, and writes those not there yet.
 * Of replicas that start together one writes them.
 */
export async function ensureOwnResources(
  ledger: Ledger,
  accounts: readonly Account[],
  random: Random,
): Promise<OwnResources> {
  for (;;) {
    const { own, entries } = plan(ledger.directory, accounts, random);
    if (entries.length === 0) return own;
    try {
      await ledger.commit(entries, {
        check: (directory) => {
          if (plan(directory, accounts, random).entries.length !== entries.length)
            throw new RefusedError('version_conflict');
        },
      });
      return own;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }
}

function plan(
  directory: Directory,
  accounts: readonly Account[],
  random: Random,
): { readonly own: OwnResources; readonly entries: readonly NewEntry[] } {
  const entries: NewEntry[] = [];
  const ensure = (type: string, system: string, value: string, rest: JsonObject): string => {
    for (const known of directory.all(type))
      for (const key of known.search.get('identifier') ?? [])
        if (key.kind === 'token' && key.system === system && key.code === value)
          return `${type}/${known.id}`;
    const id = newId(random);
    const content = { resourceType: type, id, identifier: [{ system, value }], ...rest };
    entries.push({ type, id, content, follows: 0 });
    return `${type}/${id}`;
  };
  const device = ensure('Device', SERVICE_SYSTEM, 'records', {
    status: 'active',
    deviceName: [{ name: 'Cloister records', type: 'model-name' }],
  });
  const practitioners = new Map(
    accounts.map(({ user, name }) => [
      user,
      ensure('Practitioner', USER_SYSTEM, user, { active: true, name: [{ text: name }] }),
    ]),
  );
  return { own: { device, practitioners }, entries };
}
