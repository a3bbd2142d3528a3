import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  describeEntry,
  encodeBundle,
  intelEntry,
  intelQueryOf,
  parseHclReport,
  snpEntry,
  snpQueryOf,
  type BundleEntry,
  type Fetched,
  type IntelQuery,
  type SnpQuery,
  type TcbSelection,
} from '@cloister/attestation';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import {
  describeFailure,
  describeOrigin,
  openSources,
  type OpenSources,
} from '../inspect/collateral-sources.ts';
import { readAzureEvidence, readEvidence } from '../inspect/evidence-file.ts';
import { readCollateral } from '../inspect/read-collateral.ts';

const HELP = `cloister collateral fetch [options]      makes an offline bundle of collateral
  --for <evidence file>        what that evidence needs; may be repeated
  --tee sgx|tdx --fmspc <12 hex digits> --ca processor|platform
                               what a processor of Intel's needs
  --source <name>              where to ask, in this order; may be repeated:
                               pcs (Intel), pccs=<url>, thim (Azure), kds (AMD), thim-amd (this VM)
                               default: pcs and kds
  --update early|standard      Intel's newest set of TCB documents, or the one being enforced
  --evaluation-number <n>      the set with this number
  --no-crl                     without AMD's CRL: revocation is then not checked
  --keep <folder>              keeps documents: AMD hands out each VCEK once in 10 seconds
  --out <file>                 default: standard output

cloister collateral inspect <file|folder> [--at <date>] [--root <sha256>] [--json]
                               what stands in a bundle, and whether it verifies

cloister collateral numbers --tee sgx|tdx [--source <name>]
                               which sets of TCB documents there are

Exit codes: 0 done, 2 a document does not verify or has ended, 1 a source failed, 64 wrong use.
`;

const OPTIONS = {
  for: { type: 'string', multiple: true },
  tee: { type: 'string' },
  fmspc: { type: 'string' },
  ca: { type: 'string' },
  source: { type: 'string', multiple: true },
  update: { type: 'string' },
  'evaluation-number': { type: 'string' },
  'no-crl': { type: 'boolean', default: false },
  keep: { type: 'string' },
  out: { type: 'string' },
  at: { type: 'string' },
  root: { type: 'string', multiple: true },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof read>['values'];

function read(args: readonly string[]) {
  return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
}

/** `cloister collateral fetch|inspect|numbers`. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = read(args);
  const [action, path] = positionals;
  if (!values.help && action === 'inspect' && path !== undefined && positionals.length === 2) {
    return inspect(path, values);
  }
  if (!values.help && (action === 'fetch' || action === 'numbers') && positionals.length === 1) {
    const transport = createHttpClient({ allowTls12: true });
    try {
      const sources = openSources({
        names: values.source ?? ['pcs', 'kds'],
        select: selectionOf(values),
        crl: !values['no-crl'],
        keep: values.keep,
        fetch: transport,
      });
      return await (action === 'fetch' ? fetchBundle(values, sources) : numbers(values, sources));
    } finally {
      transport.close();
    }
  }
  process.stderr.write(HELP);
  return values.help ? 0 : 64;
}

async function fetchBundle(values: Values, sources: OpenSources): Promise<number> {
  const queries = [...(await Promise.all((values.for ?? []).map(queryOfFile))), ...named(values)];
  if (queries.length === 0)
    throw new CommandError('say for what: --for, or --tee, --fmspc and --ca');
  const entries: BundleEntry[] = [];
  for (const query of queries) {
    const entry = 'fmspc' in query ? await intel(query, sources) : await snp(query, sources);
    if (entry === undefined) return 1;
    entries.push(entry);
  }
  const text = encodeBundle(entries);
  if (values.out === undefined) process.stdout.write(text);
  else await writeFile(values.out, text);
  return 0;
}

async function intel(query: IntelQuery, sources: OpenSources): Promise<BundleEntry | undefined> {
  const answer = tell(await sources.intel.intel(query));
  if (!answer.ok) return undefined;
  const from = sources.servers.find(({ name }) => name === answer.origins[0]?.source);
  const pckCrlChain = await from?.pckCrlChain(query.ca);
  const notes = { origins: answer.origins, ...(pckCrlChain === undefined ? {} : { pckCrlChain }) };
  return intelEntry(answer.value, notes);
}

async function snp(query: SnpQuery, sources: OpenSources): Promise<BundleEntry | undefined> {
  const answer = tell(await sources.snp.snp(query));
  return answer.ok ? snpEntry(answer.value, { origins: answer.origins }) : undefined;
}

/** Where everything came from goes to standard error: standard output may be the bundle. */
function tell<T>(answer: Fetched<T>): Fetched<T> {
  const origins = answer.ok ? answer.origins.map(describeOrigin) : [];
  for (const line of [...answer.failures.map(describeFailure), ...origins]) {
    process.stderr.write(`${line}\n`);
  }
  if (!answer.ok && answer.failures.length === 0) process.stderr.write('no source for this TEE\n');
  return answer;
}

async function queryOfFile(path: string): Promise<IntelQuery | SnpQuery> {
  const file = readEvidence(await readFile(path));
  if (file.kind === 'quote') return intelQueryOf(file.evidence);
  if (file.kind === 'snp-report') return snpQueryOf(file.evidence);
  if (file.kind === 'envelope') {
    const { format, evidence } = file.envelope;
    if (format === 'snp-report') return snpQueryOf(evidence);
    if (format !== 'azure-hcl') return intelQueryOf(evidence);
    return queryOfGuest(readAzureEvidence(file.envelope), path);
  }
  return queryOfGuest(file, path);
}

function queryOfGuest(
  { evidence, beside }: ReturnType<typeof readAzureEvidence>,
  path: string,
): IntelQuery | SnpQuery {
  const { tee, hardwareReport } = parseHclReport(evidence);
  if (tee === 'snp') return snpQueryOf(hardwareReport);
  const { tdQuote } = beside;
  if (tdQuote === undefined) throw new CommandError(`${path}: the TD quote is not beside it`);
  return intelQueryOf(tdQuote);
}

function named({ tee, fmspc, ca }: Values): IntelQuery[] {
  if (tee === undefined && fmspc === undefined && ca === undefined) return [];
  const lower = fmspc?.toLowerCase() ?? '';
  if (
    (tee !== 'sgx' && tee !== 'tdx') ||
    (ca !== 'processor' && ca !== 'platform') ||
    !/^[0-9a-f]{12}$/.test(lower)
  ) {
    throw new CommandError('--tee sgx|tdx, --fmspc <12 hex digits> and --ca processor|platform');
  }
  return [{ tee, fmspc: lower, ca }];
}

function selectionOf({ update, 'evaluation-number': number }: Values): TcbSelection | undefined {
  if (update !== undefined && number !== undefined) {
    throw new CommandError('--update and --evaluation-number exclude each other');
  }
  if (number !== undefined) {
    if (!/^\d{1,9}$/.test(number)) throw new CommandError('--evaluation-number: a number');
    return { tcbEvaluationDataNumber: Number(number) };
  }
  if (update === undefined) return undefined;
  if (update !== 'early' && update !== 'standard')
    throw new CommandError('--update early|standard');
  return { update };
}

async function inspect(path: string, { at, root, json }: Values): Promise<number> {
  const time = at === undefined ? new Date() : new Date(at);
  if (Number.isNaN(time.getTime())) throw new CommandError('--at: no date');
  const anchors = root?.map((spkiSha256) => ({ spkiSha256: spkiSha256.toLowerCase() }));
  const { entries } = await readCollateral([path]);
  const described = await Promise.all(
    entries.map(async (entry) => ({
      for: titleOf(entry),
      documents: await describeEntry(entry, { at: time, ...(anchors ? { anchors } : {}) }),
      origins: entry.origins,
    })),
  );
  if (json) process.stdout.write(`${JSON.stringify(described, null, 2)}\n`);
  else process.stdout.write(described.map(printEntry).join('\n'));
  const bad = ['refused', 'out-of-date'];
  const good = described.every(({ documents }) =>
    documents.every(({ verdict }) => !bad.includes(verdict)),
  );
  return good && entries.length > 0 ? 0 : 2;
}

function titleOf(entry: BundleEntry): string {
  if (entry.kind === 'snp') {
    const { product, signer, chipId } = entry.query;
    return `AMD ${product}, ${signer.toUpperCase()}${chipId === '' ? '' : ` of chip ${chipId.slice(0, 16)}…`}`;
  }
  const { tee, fmspc, ca } = entry.query;
  return `Intel ${tee.toUpperCase()}, FMSPC ${fmspc}, ${ca} CA, evaluation number ${entry.evaluationNumber}`;
}

interface Described {
  readonly for: string;
  readonly documents: Awaited<ReturnType<typeof describeEntry>>;
  readonly origins: BundleEntry['origins'];
}

function printEntry({ for: title, documents, origins }: Described): string {
  const lines = documents.map(
    ({ document, issued, nextUpdate, evaluationNumber, verdict, detail }) => {
      const dates = `${day(issued)} to ${day(nextUpdate)}`;
      const number = evaluationNumber === undefined ? '' : `, number ${evaluationNumber}`;
      const why = detail === undefined ? '' : ` (${detail})`;
      const origin = origins.find((one) => one.document === document);
      const from =
        origin === undefined ? '' : `, from ${origin.source} on ${day(origin.fetchedAt)}`;
      return `  ${verdict.padEnd(11)}  ${document.padEnd(12)}  ${dates}${number}${from}${why}\n`;
    },
  );
  return `${title}\n${lines.join('')}`;
}

function day(date: Date | undefined): string {
  return date?.toISOString().slice(0, 10) ?? '—';
}

async function numbers({ tee }: Values, { servers }: OpenSources): Promise<number> {
  if (tee !== 'sgx' && tee !== 'tdx') throw new CommandError('--tee sgx|tdx');
  for (const server of servers) {
    const answer = tell(await server.evaluationNumbers(tee));
    if (!answer.ok) continue;
    for (const one of answer.value.numbers) {
      const { tcbEvaluationDataNumber: number, tcbDate, tcbRecoveryEventDate: event } = one;
      process.stdout.write(`${number}  TCB of ${day(tcbDate)}, recovery of ${day(event)}\n`);
    }
    return 0;
  }
  return 1;
}
