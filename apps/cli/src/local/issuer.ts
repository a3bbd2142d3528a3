import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isJsonObject, parseJsonObject } from '@cloister/bytes';
import { CommandError } from '../command-error.ts';
import { entryOf, type Places } from './places.ts';

/**
 * Thumbprints of the local attestation service's signing keys. It makes them itself and keeps them
 * sealed, and the manifest has to name them: so it is asked to prepare them before anything runs.
 */
export async function prepareIssuerKeys(places: Places): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...process.execArgv,
    entryOf('attestation'),
    '--prepare',
    '--data',
    places.data('attestation'),
    '--platform',
    places.platform,
  ]);
  const { issuerKeys } = parseJsonObject(stdout.trim().split('\n').at(-1) ?? '', 'issuer keys');
  if (!Array.isArray(issuerKeys) || isJsonObject(issuerKeys) || issuerKeys.length === 0) {
    throw new CommandError('the attestation service prepared no key');
  }
  return issuerKeys.map(String);
}
