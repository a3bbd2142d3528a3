import type { Check } from '@cloister/attestation';
import { isJsonObject, type JsonObject, type JsonValue } from '@cloister/bytes';
import { describePeerChecks } from '../print-checks.ts';
import { wordOf } from './safe-word.ts';

const MEANING: ReadonlyMap<string, string> = new Map([
  ['uninitialised', 'it has a key and no manifest'],
  ['awaiting-quorum', 'its manifest waits for signatures'],
  ['awaiting-witness', 'it asks its witness whether this disk is the newest'],
  ['behind-witness', 'its disk is older than what its witness saw: it serves nothing'],
  ['active', 'it serves'],
  ['sealed', 'this machine cannot unseal its state: people with shares open it'],
]);

/** The state of a broker in words. */
export function describeState(state: JsonObject): string {
  const { party, manifest, serial, logSize, logRoot, brokerKey } = state;
  const phase = wordOf(state['state']);
  const pending = objectOf(state['pending']);
  const recovery = objectOf(state['recovery']);
  const seen = objectOf(state['witnessed']);
  const missing = pending?.['missing'];
  return [
    `broker of ${wordOf(party)}: ${phase}${MEANING.has(phase) ? ` (${MEANING.get(phase) ?? ''})` : ''}`,
    ...(brokerKey === undefined ? [] : [`  key       ${wordOf(brokerKey)}`]),
    ...(manifest === undefined
      ? []
      : [`  manifest  ${wordOf(manifest)} (serial ${wordOf(serial)})`]),
    ...(pending === undefined
      ? []
      : [
          `  pending   ${wordOf(pending['id'])} (serial ${wordOf(pending['serial'])}), missing: ${
            Array.isArray(missing) ? missing.map(wordOf).join(', ') : ''
          }`,
        ]),
    ...(logSize === undefined
      ? []
      : [`  log       ${wordOf(logSize)} entries, root ${wordOf(logRoot)}`]),
    ...(seen === undefined
      ? []
      : [`  witness   saw ${wordOf(seen['logSize'])} entries, root ${wordOf(seen['logRoot'])}`]),
    recovery === undefined
      ? '  recovery  NO SET: if this machine is lost, so are its secrets'
      : `  recovery  ${wordOf(recovery['k'])} of ${wordOf(recovery['n'])} people, ${wordOf(recovery['received'])} shares handed in`,
    '',
  ].join('\n');
}

/** The secrets of a broker, one a line. */
export function describeSecrets(list: JsonValue | undefined): string {
  const rows = objectsOf(list).map((secret) => {
    const versions = objectsOf(secret['versions']).map(({ version, until }) =>
      until === undefined ? `v${wordOf(version)}` : `v${wordOf(version)} until ${timeOf(until)}`,
    );
    const to = Array.isArray(secret['to']) ? secret['to'].map(wordOf).join(', ') : '';
    const stale = secret['stale'] === true ? '  STALE: import another' : '';
    const there = versions.length === 0 ? 'no version yet' : versions.join(', ');
    return [wordOf(secret['name']), wordOf(secret['type']), to, `${there}${stale}`];
  });
  return table([['secret', 'type', 'goes to', 'versions'], ...rows]);
}

/** Which check and which predicate refuse evidence, and what it would get. */
export function describeExplanation(answer: JsonObject): string {
  const secrets = objectsOf(answer['secrets']).map(({ name, released, reason }) => [
    wordOf(name),
    released === true ? 'released' : `refused: ${wordOf(reason)}`,
  ]);
  return [
    `evidence of ${wordOf(answer['service'])}, as the broker judges it (${wordOf(answer['state'])})`,
    '',
    describePeerChecks(checksOf(answer['checks'])),
    secrets.length === 0
      ? 'it owns no secrets'
      : table([['secret', 'what would come of it'], ...secrets]),
    answer['ok'] === true ? 'admitted\n' : `refused: ${wordOf(answer['code'])}\n`,
  ].join('\n');
}

/** The checks of an answer; what is none is left out. */
function checksOf(value: JsonValue | undefined): readonly Check[] {
  return objectsOf(value).flatMap(({ check, outcome, code, detail }): Check[] => {
    if (outcome !== 'passed' && outcome !== 'failed' && outcome !== 'skipped') return [];
    return [
      {
        check: wordOf(check),
        outcome,
        ...(code === undefined ? {} : { code: wordOf(code) }),
        ...(detail === undefined ? {} : { detail: wordOf(detail) }),
      },
    ];
  });
}

/** Columns under their headings. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function objectOf(value: JsonValue | undefined): JsonObject | undefined {
  return value !== undefined && isJsonObject(value) ? value : undefined;
}

function objectsOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function timeOf(value: JsonValue): string {
  const date = new Date(Number(value) * 1000);
  return Number.isNaN(date.getTime()) ? '?' : date.toISOString();
}
