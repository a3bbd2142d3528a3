import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrustedManifest } from '@cloister/attestation';
import { machineOf, verifyService } from '@cloister/client';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import type { BrokerAction } from '../commands/broker.ts';
import { CommandError } from '../command-error.ts';
import { random } from '../local-trust.ts';
import { Arguments, WrongUseError } from './arguments.ts';
import {
  brokerOf,
  deciderOf,
  tell,
  trustOf,
  TRUST_OPTIONS,
  VOICE_OPTIONS,
} from './common-options.ts';
import type { BrokerMeans } from './open-broker.ts';
import { RefusedError } from './refused-error.ts';
import { wordOf } from './safe-word.ts';
import { makeShareKey, openShare, readShareRecipient } from './share-key-file.ts';

const text = { type: 'string' } as const;

/** Recovery by k of n people of the party (spec/key-broker.md 5.3). */
export const RECOVERING: ReadonlyMap<string, BrokerAction> = new Map<string, BrokerAction>([
  [
    'share-key',
    async (given) => {
      const args = new Arguments(given, 1, { json: TRUST_OPTIONS.json });
      const file = args.place(0);
      const thumbprint = await makeShareKey(file);
      const words = `made ${file} (keep it) and ${file}.jwk (give it away), thumbprint ${thumbprint}\n`;
      tell(args, { ok: true, file, thumbprint }, words);
      return 0;
    },
  ],
  [
    'recovery-set',
    async (given, means) => {
      const recipient = { type: 'string', multiple: true } as const;
      const args = new Arguments(given, 1, { ...VOICE_OPTIONS, k: text, recipient, out: text });
      const k = args.count('k');
      const people = args.list('recipient');
      const folder = args.need('out');
      if (k < 2 || k > people.length)
        throw new WrongUseError(
          `--k ${k} of ${people.length} --recipient: at least two, at most all`,
        );
      const keys = people.map(readShareRecipient);
      if (new Set(keys.map(({ n }) => n)).size < keys.length)
        throw new CommandError('two shares for one key: that person would be two of them');
      const files = people.map((_, index) => join(folder, `share-${index + 1}.jwe`));
      for (const file of files)
        if (existsSync(file)) throw new CommandError(`${file} is there already`);
      const { client, voice } = await deciderOf(args, means);
      const shares = await client.makeRecoverySet(k, keys, voice);
      if (shares.length !== files.length) throw new CommandError('another number of shares came');
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const [index, file] of files.entries()) writeFileSync(file, `${shares[index] ?? ''}\n`);
      const lines = files.map((file, index) => `  ${file} for ${people[index] ?? ''}\n`);
      const words = `${k} of ${files.length} open this broker; the set before counts no more\n`;
      tell(args, { ok: true, k, n: files.length, files }, `${words}${lines.join('')}`);
      return 0;
    },
  ],
  [
    'admit-machine',
    async (given, means) => {
      const drop = { type: 'boolean', default: false } as const;
      const args = new Arguments(given, 2, { ...VOICE_OPTIONS, drop });
      const place = args.place(1);
      const machine = await machineAt(place, await trustOf(args), means);
      const admitted = !args.flag('drop');
      const { client, voice } = await deciderOf(args, means);
      await client.admitMachine(machine, admitted, voice);
      const words = admitted
        ? `a replica of this broker may be opened on machine ${machine}\n`
        : `no replica of this broker is opened on machine ${machine} any more\n`;
      tell(args, { ok: true, machine, admitted }, words);
      return 0;
    },
  ],
  [
    'share',
    async (given, means) => {
      const args = new Arguments(given, 2, { ...TRUST_OPTIONS, 'share-key': text });
      const key = args.need('share-key');
      const { client, state } = await brokerOf(args, means);
      // Before the share is opened: a broker that is not sealed has no use for it.
      if (state['state'] !== 'sealed')
        throw new RefusedError('already_active', `the broker is ${wordOf(state['state'])}`);
      const progress = await client.addShare(await openShare(args.place(1), key));
      const { received, k, state: now } = progress;
      const words =
        now === 'sealed'
          ? `taken: ${wordOf(received)} of ${wordOf(k)}\n`
          : `taken: the broker is open, and ${wordOf(now)}\n`;
      tell(args, { ok: true, ...progress }, words);
      return 0;
    },
  ],
]);

/** A machine by its id, or that of a broker which waits there: by fresh evidence, as the manifest admits it. */
async function machineAt(
  place: string,
  manifest: TrustedManifest,
  { transport, now }: BrokerMeans,
): Promise<string> {
  if (/^(?:[0-9a-f]{2}){8,64}$/.test(place)) return place;
  if (!/^https?:\/\//.test(place)) throw new WrongUseError(`${place}: no machine, no address`);
  const verdict = await verifyService({
    baseUrl: place,
    service: 'key-broker',
    manifest,
    transport,
    now,
    random,
    requireToken: false,
    crypto: NODE_EVIDENCE_CRYPTO,
  });
  if (!verdict.ok)
    throw new RefusedError(verdict.code, `${place} was not shown to be a broker of this manifest`, {
      checks: verdict.checks,
    });
  const machine = machineOf(verdict.claims);
  if (machine === undefined) throw new CommandError('its evidence names no machine');
  return machine;
}
