import { ConfigError } from './config-error.ts';
import { errorCode, errorPlace } from './log.ts';

/** What of `process` a service's `main.ts` lends for its start. */
export interface MainProcess {
  exitCode?: number | string | null | undefined;
  readonly stderr: { write(text: string): unknown };
}

/**
 * Runs a service's main function. An error that ends it becomes one line on stderr, by code and
 * place (a ConfigError by its whole message, which quotes no values), and exit code 1; 2 where
 * the configuration was to blame.
 */
export async function runMain(owner: MainProcess, main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const known = error instanceof ConfigError;
    const line = known ? error.message : `${errorCode(error)} ${errorPlace(error)}`.trimEnd();
    owner.stderr.write(`${line}\n`);
    owner.exitCode = known ? 2 : 1;
  }
}
