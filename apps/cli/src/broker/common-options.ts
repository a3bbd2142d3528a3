import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ParseArgsConfig } from 'node:util';
import type { TrustedManifest } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import type { PartyVoice } from '@cloister/client';
import { CommandError } from '../command-error.ts';
import { readTrust } from '../local-trust.ts';
import { placesIn, ROOT } from '../local/places.ts';
import type { Arguments } from './arguments.ts';
import { openBroker, type BrokerMeans, type OpenedBroker } from './open-broker.ts';
import { openVoice } from './party-voice.ts';

const text = { type: 'string' } as const;

/** Options of every action that speaks to a broker. */
export const TRUST_OPTIONS = {
  party: text,
  manifest: text,
  json: { type: 'boolean', default: false },
} as const satisfies ParseArgsConfig['options'];

/** Besides, those of an action that the party has to sign. */
export const VOICE_OPTIONS = {
  ...TRUST_OPTIONS,
  key: { type: 'string', multiple: true },
  collect: text,
} as const satisfies ParseArgsConfig['options'];

/** The manifest by which a broker is judged. */
export async function trustOf(args: Arguments): Promise<TrustedManifest> {
  const file = args.optional('manifest') ?? placesIn(join(ROOT, '.cloister')).manifest;
  if (!existsSync(file))
    throw new CommandError('no trust manifest: name one with --manifest, or start `cloister up`');
  return readTrust(file);
}

/** The broker at the first place, verified. */
export async function brokerOf(
  args: Arguments,
  means: BrokerMeans,
): Promise<OpenedBroker & { readonly manifest: TrustedManifest; readonly party: string }> {
  const party = args.need('party');
  const manifest = await trustOf(args);
  const opened = await openBroker(args.place(0), { manifest, party }, means);
  return { ...opened, manifest, party };
}

/** The party's voice, and its broker. */
export async function deciderOf(
  args: Arguments,
  means: BrokerMeans,
): Promise<Awaited<ReturnType<typeof brokerOf>> & { readonly voice: PartyVoice }> {
  const party = args.need('party');
  const manifest = await trustOf(args);
  const collect = args.optional('collect');
  // A wrong key is told before anything is said to the broker.
  const voice = await openVoice({
    manifest,
    party,
    keys: args.list('key'),
    collect,
    onProgress: (signed, needed) =>
      process.stderr.write(
        `${signed} of ${needed} keys have signed; elsewhere: cloister broker sign ${collect ?? ''} --key <file>\n`,
      ),
  });
  if (voice.keys.length === 0 && collect === undefined)
    throw new CommandError('--key: the party has to sign this');
  return { ...(await brokerOf(args, means)), voice };
}

/** Prints an answer: in words, or as JSON. */
export function tell(args: Arguments, answer: JsonObject, words: string): void {
  process.stdout.write(args.flag('json') ? `${JSON.stringify(answer)}\n` : words);
}
