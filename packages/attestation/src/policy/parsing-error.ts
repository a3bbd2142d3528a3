/** Where something stands in a policy's text; both count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

const LONGEST_SYMBOL = 40;

/**
 * A policy's text that does not follow the grammar. The message has the form of Azure
 * Attestation's (spec/azure-attestation.md 1.5): offending symbol, place, what was expected, and
 * the grammar's rule that failed.
 */
export class PolicyParsingError extends Error {
  override readonly name = 'PolicyParsingError';
  readonly code = 'policy_syntax';
  readonly line: number;
  readonly column: number;
  /** What stands there; `<EOF>` at the end. */
  readonly symbol: string;
  /** What is wrong with it, in the form `mismatched input '[' expecting ';'`. */
  readonly failure: string;
  /** The grammar's rules from the outermost to the one that failed. */
  readonly rule: string;

  constructor(at: Place & { readonly text: string }, failure: Failure, rule: string) {
    const symbol = shorten(at.text);
    const words =
      'expecting' in failure
        ? `mismatched input '${symbol}' expecting ${failure.expecting}`
        : failure.problem;
    super(
      `Policy Parser Exception Thrown: Offending symbol: '${symbol}'  Line: '${at.line}', Column: '${at.column}'  Failure message: '${words}'  Failing rule: '${rule}'`,
    );
    this.line = at.line;
    this.column = at.column;
    this.symbol = symbol;
    this.failure = words;
    this.rule = rule;
  }
}

/** Another symbol was expected, or this one breaks a rule beyond the grammar. */
export type Failure = { readonly expecting: string } | { readonly problem: string };

function shorten(text: string): string {
  return text.length > LONGEST_SYMBOL ? `${text.slice(0, LONGEST_SYMBOL)}…` : text;
}
