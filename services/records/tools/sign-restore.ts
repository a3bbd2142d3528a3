/**
 * Signs that entries of the log are given up: with one of the hospital's keys the statement that
 * `records` printed when it refused to start. One line to stdout; the lines of more than half of the
 * keys, in one file, are what `--restore` takes.
 *
 *   node services/records/tools/sign-restore.ts --statement '<json>' --reason '<words>' --key <pkcs8 file>
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseJsonObject } from '@cloister/bytes';
import { signPartyStatement } from '@cloister/client';
import { ConfigError } from '@cloister/service';

const { values } = parseArgs({
  options: {
    statement: { type: 'string' },
    reason: { type: 'string' },
    key: { type: 'string' },
  },
});
const { statement = '', reason, key } = values;
if (reason === undefined || key === undefined)
  throw new ConfigError('--statement, --reason and --key are needed');
const said = parseJsonObject(statement, 'statement');
const { party, manifest } = said;
if (typeof party !== 'string' || typeof manifest !== 'string')
  throw new ConfigError('--statement is not what records printed');
const privateKey = await crypto.subtle.importKey(
  'pkcs8',
  new Uint8Array(readFileSync(key)),
  { name: 'ECDSA', namedCurve: 'P-256' },
  false,
  ['sign'],
);
const jws = await signPartyStatement(
  { ...said, purpose: 'reset-counter', party, manifest, reason },
  privateKey,
);
process.stdout.write(`${jws}\n`);
