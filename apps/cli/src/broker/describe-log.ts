import type { JsonObject } from '@cloister/bytes';
import type { VerifiedLog } from './audit-log.ts';
import { wordOf } from './safe-word.ts';

/** One line of the table: several entries where the same happened again and again. */
interface Row {
  readonly first: number;
  readonly last: number;
  readonly times: number;
  readonly at: number;
  readonly until: number;
  readonly mark: string;
  readonly text: string;
}

/** Marks that the eye finds: what people did, what was given away, what went wrong. */
const [PEOPLE, GIVEN, MADE, GONE] = ['!', '>', '+', 'x'];

/** A verified log as people read it: what holds, what there is, and what happened in its order. */
export function describeLog(log: VerifiedLog, { all }: { readonly all: boolean }): string {
  const { head, kept, events } = log;
  const rows = rowsOf(events, all);
  const width = String(events.length).length;
  return [
    `log of the broker of ${head.party}, deployment ${head.deployment}`,
    `  ${head.logSize} entries, root ${head.logRoot}`,
    `  signed ${timeOf(head.time)} under manifest ${head.manifest} (serial ${head.serial})`,
    kept === undefined
      ? '  nothing was kept from before: keep this one (--keep <file>), and the next look proves the past'
      : `  begins with the ${kept.logSize} entries that were seen ${timeOf(kept.time)}: nothing of them was changed`,
    '',
    ...summary(events),
    '',
    `${'#'.padStart(width)}  time (UTC)           event`,
    ...rows.map((row) => describeRow(row, width)),
    '',
    `${MADE} made   ${GIVEN} given   ${PEOPLE} by people   ${GONE} destroyed`,
    '',
  ].join('\n');
}

function describeRow({ first, times, at, until, mark, text }: Row, width: number): string {
  const often = times === 1 ? '' : `  (${times} times, until ${timeOf(until)})`;
  return `${String(first).padStart(width)}  ${timeOf(at)}  ${mark} ${text}${often}`;
}

/** What was given to whom, as a tree. */
function summary(events: readonly JsonObject[]): readonly string[] {
  const secrets = new Map<string, Map<string, number>>();
  const versions = new Map<string, Set<string>>();
  for (const event of events) {
    const name = wordOf(event['name']);
    if (event['event'] === 'secret-created') {
      const live = versions.get(name) ?? new Set();
      versions.set(name, live.add(wordOf(event['version'])));
    }
    if (event['event'] === 'secret-destroyed') versions.get(name)?.delete(wordOf(event['version']));
    if (event['event'] !== 'secret-released') continue;
    const to = secrets.get(name) ?? new Map<string, number>();
    const whom = `${wordOf(event['service'])}${event['simulated'] === true ? ' (SIMULATED)' : ''}`;
    secrets.set(name, to.set(whom, (to.get(whom) ?? 0) + 1));
  }
  const names = [...new Set([...versions.keys(), ...secrets.keys()])].toSorted();
  if (names.length === 0) return ['no secrets yet'];
  return names.flatMap((name) => {
    const there = [...(versions.get(name) ?? [])].map((version) => `v${version}`).join(', ');
    const given = [...(secrets.get(name) ?? [])];
    return [
      `secret ${name}: ${there === '' ? 'no version' : there}`,
      ...given.map(([whom, times], index) => {
        const branch = index === given.length - 1 ? '\u2514\u2500' : '\u251c\u2500';
        return `  ${branch} ${whom}: released ${times} time${times === 1 ? '' : 's'}`;
      }),
    ];
  });
}

/** The entries as lines: leases that are renewed all day long are one, unless all are asked for. */
function rowsOf(events: readonly JsonObject[], all: boolean): readonly Row[] {
  const rows: Row[] = [];
  const routine = new Map<string, number>();
  for (const [index, event] of events.entries()) {
    const [mark, text] = describeEvent(event);
    const at = number(event['at']);
    const known = routine.get(text);
    const row = known === undefined ? undefined : rows[known];
    if (!all && mark === GIVEN && known !== undefined && row !== undefined)
      rows[known] = { ...row, last: index, times: row.times + 1, until: at };
    else {
      // Between two turns of a person, or of a secret, the routine begins anew.
      if (mark !== GIVEN) routine.clear();
      routine.set(text, rows.length);
      rows.push({ first: index, last: index, times: 1, at, until: at, mark, text });
    }
  }
  return rows;
}

function describeEvent(event: JsonObject): readonly [string, string] {
  const of = (name: string): string => wordOf(event[name]);
  const short = (name: string): string => `${of(name).slice(0, 12)}\u2026`;
  const signers = Array.isArray(event['signers']) ? event['signers'].map(wordOf) : [];
  const by = `by ${signers.map((signer) => (signer.length > 20 ? signer.slice(0, 8) : signer)).join(', ')}`;
  switch (wordOf(event['event'])) {
    case 'initialised':
      return [MADE, `broker of ${of('party')} begins, key ${of('brokerKey')}`];
    case 'manifest-activated':
      return [PEOPLE, `manifest ${short('id')} (serial ${of('serial')}) in force, ${by}`];
    case 'secret-created':
      return [
        event['reason'] === 'imported' ? PEOPLE : MADE,
        `secret ${of('name')} v${of('version')}: ${of('reason')}`,
      ];
    case 'secret-destroyed':
      return [GONE, `secret ${of('name')} v${of('version')} destroyed`];
    case 'secret-stale':
      return [
        PEOPLE,
        `secret ${of('name')} is known to code that is no longer admitted (${of('service')}): import another`,
      ];
    case 'secret-released':
      return [
        GIVEN,
        `secret ${of('name')} v${of('version')} to ${of('service')} by ${of('via')}${event['simulated'] === true ? ', SIMULATED' : ''}`,
      ];
    case 'counter-advanced':
      return [GIVEN, `counter ${of('name')} moved by ${of('service')}`];
    case 'counter-reset':
      return [
        PEOPLE,
        `counter ${of('name')} set from ${of('from')} to ${of('value')}, ${by}: ${of('reason')}`,
      ];
    case 'authority-created':
      return [MADE, `certificate authority ${of('generation')}: ${of('reason')}`];
    case 'certificate-issued':
      return [GIVEN, `certificate to ${of('service')} by authority ${of('generation')}`];
    case 'recovery-set':
      return [PEOPLE, `recovery set, ${of('k')} of ${of('n')}, ${by}`];
    case 'machine-admitted':
      return [
        PEOPLE,
        `machine ${short('machine')} ${event['admitted'] === true ? 'admitted' : 'dropped'} for replicas, ${by}`,
      ];
    case 'replica-unsealed':
      return [PEOPLE, `STATE KEY to a replica on machine ${short('machine')}`];
    case 'unsealed':
      return [MADE, `opened by a ${of('by')}`];
    case 'recovered':
      return [PEOPLE, `opened by recovery shares of set ${short('set')}`];
    case 'witness-overridden':
      return [PEOPLE, `WITNESS OVERRIDDEN ${by}: ${of('reason')}`];
    default:
      return ['?', wordOf(JSON.stringify(event))];
  }
}

function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? '?' : date.toISOString().slice(0, 19).replace('T', ' ');
}

function number(value: JsonObject[string] | undefined): number {
  return typeof value === 'number' ? value : Number.NaN;
}
