import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { encodePem, parseJsonObject } from '@cloister/bytes';
import { fetchCertificateAuthorities, fetchEvidence } from '@cloister/client';
import type { BrokerAction } from '../commands/broker.ts';
import { CommandError } from '../command-error.ts';
import { readEvidence } from '../inspect/evidence-file.ts';
import { random } from '../local-trust.ts';
import { readText } from '../manifest/manifest-draft.ts';
import { describeChecks } from '../print-checks.ts';
import { Arguments } from './arguments.ts';
import { fetchLog, parseLogCopy, verifyLog, type LogCopy } from './audit-log.ts';
import { brokerOf, tell, trustOf, TRUST_OPTIONS } from './common-options.ts';
import { describeExplanation, describeSecrets, describeState } from './describe-broker.ts';
import { describeLog } from './describe-log.ts';
import { refusalOf, type BrokerMeans } from './open-broker.ts';
import { RefusedError } from './refused-error.ts';

const isUrl = (text: string): boolean => /^https?:\/\//.test(text);

/** What is only looked at: no key of a party is needed. */
export const ASKING: ReadonlyMap<string, BrokerAction> = new Map<string, BrokerAction>([
  [
    'state',
    async (given, means) => {
      const args = new Arguments(given, 1, TRUST_OPTIONS);
      try {
        const { state } = await brokerOf(args, means);
        tell(args, { ok: true, ...state }, describeState(state));
        return 0;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        return tellUnverified(args, means, refusal);
      }
    },
  ],
  [
    'secrets',
    async (given, means) => {
      const args = new Arguments(given, 1, TRUST_OPTIONS);
      const { client } = await brokerOf(args, means);
      const { secrets = [] } = await client.secrets();
      tell(args, { ok: true, secrets }, describeSecrets(secrets));
      return 0;
    },
  ],
  [
    'counter',
    async (given, means) => {
      const args = new Arguments(given, 2, TRUST_OPTIONS);
      const { client } = await brokerOf(args, means);
      const name = args.place(1);
      const verdict = await client.readCounter(name);
      if (!verdict.ok) throw new RefusedError(verdict.code, name, { checks: verdict.checks });
      const { value, digest, time } = verdict.claims;
      const at = new Date(time * 1000).toISOString();
      const words = `counter ${name} stands at ${value}\n  digest ${digest}\n  signed ${at}\n`;
      tell(args, { ok: true, name, value, digest, time }, words);
      return 0;
    },
  ],
  [
    'ca',
    async (given, { transport, now }) => {
      const args = new Arguments(given, 1, TRUST_OPTIONS);
      const party = args.need('party');
      const manifest = await trustOf(args);
      // Signed by the broker key of the manifest, over a nonce of our own: no channel is needed.
      const source = { baseUrl: args.place(0), transport, manifest, party, now, random };
      const verdict = await fetchCertificateAuthorities(source);
      if (!verdict.ok)
        throw new RefusedError(verdict.code, 'not what the broker of this manifest says now', {
          checks: verdict.checks,
        });
      const certificates = verdict.claims.certificates.map(({ der, notAfter }) => ({
        pem: encodePem('CERTIFICATE', der),
        notAfter: notAfter.toISOString(),
      }));
      tell(args, { ok: true, certificates }, certificates.map(({ pem }) => pem).join(''));
      return 0;
    },
  ],
  [
    'explain',
    async (given, means) => {
      const args = new Arguments(given, 2, { ...TRUST_OPTIONS, service: { type: 'string' } });
      const { client } = await brokerOf(args, means);
      const envelope = await evidenceOf(args.place(1), means);
      const answer = await client.explain(envelope, args.optional('service'));
      tell(args, answer, describeExplanation(answer));
      return answer['ok'] === true ? 0 : 2;
    },
  ],
  [
    'log',
    async (given, means) => {
      const options = {
        ...TRUST_OPTIONS,
        keep: { type: 'string' },
        all: { type: 'boolean', default: false },
      } as const;
      const args = new Arguments(given, 1, options);
      const place = args.place(0);
      const trust = { manifest: await trustOf(args), party: args.need('party') };
      const keep = args.optional('keep');
      const kept = keep !== undefined && existsSync(keep) ? readCopy(keep).head : undefined;
      // The head is signed, so the log needs no channel: it is verified for itself.
      const copy = isUrl(place) ? await fetchLog(place, means) : readCopy(place);
      const log = await verifyLog(copy, trust, kept);
      if (keep !== undefined) writeCopy(keep, copy);
      const { head, events, checks } = log;
      const { logSize, logRoot, time, serial, manifest } = head;
      const answer = {
        ok: true,
        head: { logSize, logRoot, time, serial, manifest },
        kept: log.kept?.logSize ?? null,
        checks: checks.map((check) => ({ ...check })),
        events: [...events],
      };
      tell(
        args,
        answer,
        `${describeLog(log, { all: args.flag('all') })}\n${describeChecks(checks)}`,
      );
      return 0;
    },
  ],
]);

/** What a broker says of itself that could not be verified: to find out why, and for nothing else. */
async function tellUnverified(
  args: Arguments,
  { transport }: BrokerMeans,
  { code, message, checks }: RefusedError,
): Promise<number> {
  const url = `${args.place(0).replace(/\/+$/, '')}/v1/state`;
  const answer = await transport(new Request(url));
  const state = answer.ok ? parseJsonObject(await answer.text(), 'state') : {};
  const failed = checks.filter(({ outcome }) => outcome === 'failed');
  const shown = failed.map((check) => ({ ...check }));
  tell(
    args,
    { ok: false, code, checks: shown, unverified: state },
    `NOT VERIFIED: ${code}: ${message}\n${describeChecks(failed)}\nwhat it says of itself, which proves nothing:\n${describeState(state)}`,
  );
  return 2;
}

async function evidenceOf(place: string, { transport }: BrokerMeans) {
  if (isUrl(place)) return fetchEvidence(place, random(32), transport);
  const file = readEvidence(readFileSync(place));
  if (file.kind !== 'envelope')
    throw new CommandError(`${place} is bare evidence: a manifest judges evidence envelopes`);
  return file.envelope;
}

function readCopy(file: string): LogCopy {
  return parseLogCopy(readText(file), file);
}

/** Whole or not at all: what was kept is evidence. */
function writeCopy(file: string, copy: LogCopy): void {
  const draft = `${file}.new`;
  writeFileSync(draft, `${JSON.stringify(copy)}\n`);
  renameSync(draft, file);
}
