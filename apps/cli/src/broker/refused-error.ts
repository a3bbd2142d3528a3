import type { Check } from '@cloister/attestation';

/** Thrown where a broker is not what it should be, or says no: exit code 2, with the checks that were made. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: string;
  readonly checks: readonly Check[];

  constructor(
    code: string,
    message: string,
    options: ErrorOptions & { readonly checks?: readonly Check[] } = {},
  ) {
    super(message, options);
    this.code = code;
    this.checks = options.checks ?? [];
  }
}
