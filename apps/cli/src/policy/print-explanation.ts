import type {
  ConditionTrace,
  PolicyClaim,
  PolicyOutcome,
  PolicyParsingError,
  RuleTrace,
} from '@cloister/attestation';

/** The line of a policy that cannot be read, with a mark under the symbol. */
export function describeSyntax(
  text: string,
  { line, column, failure, rule }: PolicyParsingError,
): string {
  const source = text.split('\n')[line - 1]?.replaceAll('\t', ' ').trimEnd() ?? '';
  const number = String(line);
  return [
    failure,
    `  ${number} | ${source}`,
    `  ${' '.repeat(number.length)} | ${' '.repeat(column - 1)}^`,
    `  in ${rule}, line ${line}, column ${column}\n`,
  ].join('\n');
}

/** What a policy says, and what came of each of its rules. */
export function describeOutcome(outcome: PolicyOutcome): string {
  const rules = (outcome.trace ?? []).map(describeRule).join('');
  if (!outcome.ok) return `${rules}\nrefused: ${outcome.message}\n`;
  const issued = Object.entries(outcome.issued).map(claimLine);
  const properties = Object.entries(outcome.properties).map(claimLine);
  return [
    rules,
    '\npermitted\n',
    issued.length === 0 ? 'It issues no claims.\n' : `It issues\n${issued.join('')}`,
    properties.length === 0 ? '' : `It sets the properties\n${properties.join('')}`,
  ].join('');
}

function claimLine([type, value]: [string, unknown]): string {
  return `  ${type} = ${JSON.stringify(value)}\n`;
}

function describeRule({ section, line, fired, conditions, claims, text }: RuleTrace): string {
  return [
    `${fired ? 'fired    ' : 'not fired'}  ${section}, line ${line}: ${oneLine(text)}\n`,
    ...conditions.map(describeCondition),
    ...claims.map((claim) => `             made     ${describeClaim(claim)}\n`),
  ].join('');
}

function describeCondition({ text, held, matched, nearMisses }: ConditionTrace): string {
  return [
    `             ${held ? 'holds   ' : 'FAILS   '} ${oneLine(text)}\n`,
    ...matched.map((claim) => `                      by ${describeClaim(claim)}\n`),
    ...nearMisses.map(
      ({ claim, failed }) => `                      not ${describeClaim(claim)}: ${failed}\n`,
    ),
  ].join('');
}

function describeClaim({ type, value, issuer }: PolicyClaim): string {
  const shown = JSON.stringify(value);
  return `${type} = ${shown.length > 100 ? `${shown.slice(0, 97)}...` : shown} (${issuer})`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
