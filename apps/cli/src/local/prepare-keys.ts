import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isJsonObject, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { parseJwk, type Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import {
  entryOf,
  type BrokerParty,
  type Places,
  type ProcessName,
  type ServiceName,
} from './places.ts';

/**
 * Thumbprints of the local attestation service's signing keys. It makes them itself and keeps them
 * sealed, and the manifest has to name them: so it is asked to prepare them before anything runs.
 */
export async function prepareIssuerKeys(places: Places): Promise<readonly string[]> {
  const { issuerKeys } = await prepare(places, 'attestation', 'attestation');
  if (!Array.isArray(issuerKeys) || isJsonObject(issuerKeys) || issuerKeys.length === 0) {
    throw new CommandError('the attestation service prepared no key');
  }
  return issuerKeys.map(String);
}

/** The key with which a party's broker signs; the broker makes it itself, and keeps it sealed. */
export async function prepareBrokerKey(places: Places, party: BrokerParty): Promise<Jwk> {
  const { brokerKey = null } = await prepare(places, 'key-broker', `broker-${party}`, [
    '--party',
    party,
  ]);
  return parseJwk(brokerKey);
}

async function prepare(
  places: Places,
  service: ServiceName,
  name: ProcessName,
  args: readonly string[] = [],
): Promise<JsonObject> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...process.execArgv,
    entryOf(service),
    '--prepare',
    '--data',
    places.data(name),
    '--platform',
    places.platform,
    ...args,
  ]);
  return parseJsonObject(stdout.trim().split('\n').at(-1) ?? '', `keys of ${name}`);
}
