import { groupChecks, type Check } from '@cloister/attestation';

const QUESTIONS = {
  hardware: 'Is it genuine hardware, and sealed?',
  code: 'Is the code the code that was agreed on?',
  channel: 'Does the channel end inside it?',
} as const;
const MARKS = { passed: '  ok      ', failed: '  FAILED  ', skipped: '  -       ' } as const;

/** The checks of a peer in words, under the three questions that they answer. */
export function describePeerChecks(checks: readonly Check[]): string {
  const groups = groupChecks(checks);
  return (['hardware', 'code', 'channel'] as const)
    .map((group) => {
      const lines = groups[group].map((check) => describeCheck(check, `${group}: `));
      const good = groups[group].every(({ outcome }) => outcome !== 'failed');
      return `${good ? 'yes' : 'NO '}  ${QUESTIONS[group]}\n${lines.join('')}`;
    })
    .join('\n');
}

/** Checks in words, one a line. */
export function describeChecks(checks: readonly Check[]): string {
  return checks.map((check) => describeCheck(check, '')).join('');
}

function describeCheck({ check, outcome, code, detail }: Check, prefix: string): string {
  const name = check.startsWith(prefix) ? check.slice(prefix.length) : check;
  const why = [code, detail].filter((part) => part !== undefined).join(': ');
  return `${MARKS[outcome]}${name}${why === '' ? '' : `  (${why})`}\n`;
}
