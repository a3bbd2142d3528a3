import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { placesIn, ROOT } from '../local/places.ts';
import { readTrust } from '../local-trust.ts';
import {
  localBrokers,
  openBrokers,
  parseBrokers,
  PATIENTS_PARTY,
  type BrokerWord,
} from './brokers.ts';
import { describeVerdict } from './describe-verdict.ts';
import { verifyUrl, type UrlVerdict } from './verify-url.ts';
import { watchUrl } from './watch-url.ts';

/** What `cloister verify <url>` is told. */
export interface VerifyUrlArguments {
  readonly manifest?: string | undefined;
  readonly service?: string | undefined;
  readonly attestation?: string | undefined;
  /** `party=url`, as often as it was given. */
  readonly broker?: readonly string[] | undefined;
  readonly party?: string | undefined;
  readonly watch: boolean;
  /** Seconds between two looks. */
  readonly every: string;
  readonly json: boolean;
}

/** Verifies a running service once, or until somebody ends it; gives the exit code. */
export async function runVerifyUrl(url: string, values: VerifyUrlArguments): Promise<number> {
  const file = values.manifest ?? placesIn(join(ROOT, '.cloister')).manifest;
  if (!existsSync(file)) {
    throw new CommandError('no trust manifest: name one with --manifest, or start `cloister up`');
  }
  const seconds = Number(values.every);
  if (!(seconds > 0 && seconds <= 86_400)) throw new CommandError('--every: seconds');
  const first = await readTrust(file);
  const transport = createHttpClient();
  try {
    const addresses =
      values.broker === undefined && values.manifest === undefined
        ? await localBrokers(first, transport)
        : parseBrokers(values.broker ?? []);
    const { party = PATIENTS_PARTY } = values;
    const brokers =
      Object.keys(addresses).length === 0
        ? undefined
        : openBrokers({ manifest: first, party, addresses, transport, now: hostNow });
    let { service } = values;
    const verify = async (): Promise<UrlVerdict> => {
      const verdict = await verifyUrl({
        url,
        service,
        attestation: values.attestation,
        manifest: brokers?.trust() ?? first,
        brokers,
        transport,
        now: brokers?.now ?? hostNow,
      });
      // Who is watched does not become somebody else.
      if (verdict.ok) ({ service } = verdict);
      return verdict;
    };
    if (values.watch) {
      const end = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());
      const verdict = await watchUrl({
        ask: brokers?.ask,
        verify,
        pause: () => setTimeout(seconds * 1000, true, { signal: end.signal }).catch(() => false),
        say: (line) => {
          const time = hostNow().toISOString();
          say(values.json ? JSON.stringify({ time, line }) : `${time}  ${line}`);
        },
      });
      return exitCode(verdict, undefined);
    }
    const word = await brokers?.ask();
    const verdict = await verify();
    if (values.json) say(JSON.stringify(summaryOf(verdict, word)));
    else process.stdout.write(describeVerdict(verdict, { url, brokers, word }));
    return exitCode(verdict, word);
  } finally {
    transport.close();
  }
}

const hostNow = (): Date => new Date();
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function exitCode({ ok, code, unreachable }: UrlVerdict, word: BrokerWord | undefined): number {
  if (ok) return 0;
  const noBroker = code === 'own_head_missing' && word?.fault !== undefined;
  return unreachable || noBroker ? 1 : 2;
}

function summaryOf(verdict: UrlVerdict, word: BrokerWord | undefined): object {
  const { ok, code, service, manifest, format, claims, checks, signingKeys } = verdict;
  const { head, next, refused, fault } = word ?? {};
  return {
    ok,
    service,
    manifest: manifest.id,
    serial: manifest.manifest.serial,
    format,
    ...(claims === undefined ? {} : { claims }),
    ...(code === undefined ? {} : { code }),
    // Null: heads were not asked for.
    broker:
      word === undefined
        ? null
        : { head: head?.hash, time: head?.time, newerManifest: next?.id, refused, fault },
    checks,
    ...(signingKeys.length === 0 ? {} : { signingKeys }),
  };
}
