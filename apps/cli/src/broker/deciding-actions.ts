import { readFileSync } from 'node:fs';
import { canonicalJson, parseJsonObject, type Bytes } from '@cloister/bytes';
import { manifestId } from '@cloister/attestation';
import type { BrokerAction } from '../commands/broker.ts';
import { CommandError } from '../command-error.ts';
import { readManifestFile } from '../manifest/manifest-draft.ts';
import { Arguments, WrongUseError } from './arguments.ts';
import { deciderOf, tell, TRUST_OPTIONS, VOICE_OPTIONS } from './common-options.ts';
import { signInFolder } from './party-voice.ts';
import { RefusedError } from './refused-error.ts';
import { problemCode, wordOf } from './safe-word.ts';

const text = { type: 'string' } as const;
/** As the broker takes it: it stands in the log for good. */
const REASON = /^[\w.: -]{1,200}$/;

/** What a party decides: each is signed by more than half of its keys. */
export const DECIDING: ReadonlyMap<string, BrokerAction> = new Map<string, BrokerAction>([
  [
    'import',
    async (given, means) => {
      const args = new Arguments(given, 3, VOICE_OPTIONS);
      const name = args.place(1);
      const value = readSecret(args.place(2));
      try {
        const { client, voice } = await deciderOf(args, means);
        const version = await client.importSecret(name, value, voice);
        tell(args, { ok: true, name, version }, `imported ${name} v${version}\n`);
        return 0;
      } finally {
        value.fill(0);
      }
    },
  ],
  [
    'rotate',
    async (given, means) => {
      const args = new Arguments(given, 2, VOICE_OPTIONS);
      const name = args.place(1);
      const { client, voice } = await deciderOf(args, means);
      const version = await client.replaceSecret(name, voice);
      const words = `${name} is at v${version} now; what is older stays until it is destroyed\n`;
      tell(args, { ok: true, name, version }, words);
      return 0;
    },
  ],
  [
    'destroy',
    async (given, means) => {
      const args = new Arguments(given, 3, VOICE_OPTIONS);
      const [name, number] = [args.place(1), args.place(2)];
      if (!/^v?[1-9]\d{0,9}$/.test(number)) throw new WrongUseError(`${number} is no version`);
      const version = Number(number.replace(/^v/, ''));
      const { client, voice } = await deciderOf(args, means);
      await client.destroySecret(name, version, voice);
      tell(args, { ok: true, name, version }, `destroyed ${name} v${version}\n`);
      return 0;
    },
  ],
  [
    'override',
    async (given, means) => {
      const args = new Arguments(given, 1, { ...VOICE_OPTIONS, reason: text });
      const reason = reasonOf(args);
      const { client, voice } = await deciderOf(args, means);
      const now = wordOf((await client.overrideWitness(reason, voice))['state']);
      tell(
        args,
        { ok: true, state: now },
        `overridden: the broker is ${now}, and its log says why\n`,
      );
      return 0;
    },
  ],
  [
    'counter-reset',
    async (given, means) => {
      const options = { ...VOICE_OPTIONS, from: text, value: text, digest: text, reason: text };
      const args = new Arguments(given, 2, options);
      const name = args.place(1);
      const digest = args.need('digest');
      if (!/^[0-9a-f]{64}$/.test(digest)) throw new WrongUseError('--digest is no SHA-256');
      const from = args.count('from');
      const value = args.count('value');
      const reset = { from, value, digest, reason: reasonOf(args) };
      const { client, voice } = await deciderOf(args, means);
      await client.resetCounter(name, reset, voice);
      tell(args, { ok: true, name, from, value }, `counter ${name} set from ${from} to ${value}\n`);
      return 0;
    },
  ],
  [
    'sign',
    async (given) => {
      const args = new Arguments(given, 1, { key: text, json: TRUST_OPTIONS.json });
      const { statement, file } = await signInFolder(args.place(0), args.need('key'));
      const said = canonicalJson(statement);
      tell(args, { ok: true, statement, file }, `signed ${said}\nin ${file}\n`);
      return 0;
    },
  ],
  [
    'activate',
    async (given, { transport }) => {
      const args = new Arguments(given, 2, { json: TRUST_OPTIONS.json });
      const file = readManifestFile(args.place(1));
      const url = `${args.place(0).replace(/\/+$/, '')}/v1/manifest`;
      // Public and signed: whoever hands it in decides nothing.
      const body = JSON.stringify(file);
      const answer = await transport(new Request(url, { method: 'POST', body }));
      const json = parseJsonObject(await answer.text(), 'answer of the broker');
      if (!answer.ok) {
        const code = problemCode(json);
        throw new RefusedError(code, `the broker does not take this manifest: ${code}`);
      }
      const id = await manifestId(file.manifest);
      const { pending } = json;
      const words =
        pending === undefined
          ? `manifest ${id} (serial ${file.manifest.serial}) is in force\n`
          : `manifest ${id} waits for signatures (cloister broker state)\n`;
      tell(args, { ok: true, ...json }, words);
      return 0;
    },
  ],
]);

function readSecret(file: string): Bytes {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new CommandError(`cannot read ${file}`, { cause: error });
  }
}

function reasonOf(args: Arguments): string {
  const reason = args.need('reason');
  if (!REASON.test(reason))
    throw new WrongUseError('--reason: at most 200 letters, digits, spaces and .:_-');
  return reason;
}
