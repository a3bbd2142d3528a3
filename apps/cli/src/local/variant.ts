import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../command-error.ts';
import { ROOT, type ServiceName } from './places.ts';

/** A service that runs other code than the published one. */
export interface Variant {
  readonly service: ServiceName;
  /** Whether the parties agreed on it: its measurement then stands in the manifest. */
  readonly agreed: boolean;
  readonly folder: string;
  readonly entry: string;
}

/** How the code of a variant differs. */
export interface VariantOptions {
  readonly service: ServiceName;
  /**
   * `own-keys`: makes keys of its own, as no broker gives it any. `receipt`: signs another output.
   * `release`: does the same as before, and is other code all the same, as the next release is.
   */
  readonly change: 'own-keys' | 'receipt' | 'release';
  readonly agreed: boolean;
}

/** Copies a service's sources and changes them. */
export function makeVariant({ service, change, agreed }: VariantOptions): Variant {
  const source = join(ROOT, 'services', service);
  const folder = join(ROOT, '.cloister', 'variants', `${service}-${process.pid}-${Date.now()}`);
  mkdirSync(folder, { recursive: true });
  cpSync(join(source, 'package.json'), join(folder, 'package.json'));
  cpSync(join(source, 'src'), join(folder, 'src'), { recursive: true });
  const entry = join(folder, 'src', 'main.ts');
  if (change === 'own-keys') useOwnKeys(service, join(folder, 'src'));
  else if (change === 'release') edit(entry, (text) => `${text}\n// The next release.\n`);
  else {
    edit(join(folder, 'src', 'receipt.ts'), (text) =>
      text.replace('    outputDigest,\n', "    outputDigest: '00'.repeat(32),\n"),
    );
  }
  return { service, agreed, folder, entry };
}

/**
 * What a service must do that no broker gives a key to: make one, and believe itself. It can open
 * nothing that was there before, and shows evidence of what it is.
 */
function useOwnKeys(service: ServiceName, source: string): void {
  const records = service === 'records';
  const file = join(source, 'trust', records ? 'open-releases.ts' : 'open-release.ts');
  edit(file, (text) => `${text.replace('keepLease({', 'keepOwnKey({')}${OWN_KEY}`);
  if (!records) return;
  edit(join(source, 'start', 'open-records.ts'), (text) =>
    text.replace(
      '    anchor,\n',
      '    anchor: { read: async () => undefined, advance: async () => true },\n',
    ),
  );
}

const OWN_KEY = `
import { createChannelKeys, exportChannelKeys } from '@cloister/channel';
async function keepOwnKey({ name }: { name: string }): Promise<any> {
  const value =
    name === 'channel-key'
      ? exportChannelKeys(await createChannelKeys({ kem: 'x-wing', keyId: 1 }))
      : crypto.getRandomValues(new Uint8Array(32));
  const secret = { versions: [{ version: 1, value, from: 0 }] };
  const renew = () => Promise.resolve();
  return { name, secret, isRunning: () => true, renew, stop: () => undefined };
}
`;

function edit(file: string, change: (text: string) => string): void {
  const before = readFileSync(file, 'utf8');
  const after = change(before);
  if (after === before) throw new CommandError('the demo cannot change that source any more');
  writeFileSync(file, after);
}

/** Removes what `makeVariant` made. */
export function removeVariant(variant: Variant): void {
  rmSync(variant.folder, { recursive: true, force: true });
}
