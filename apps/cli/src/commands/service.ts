import { spawn } from 'node:child_process';
import { entryOf, SERVICES, type ServiceName } from '../local/places.ts';

const HELP = `cloister service <name> --port <n> …   runs one service alone until it is told to stop

  <name>   ${SERVICES.join(', ')}
  The other arguments are the service's own (see services/<name>/README.md). It prints
  "listening on http://127.0.0.1:<n>" when it is ready.
`;

/** `cloister service <name> …`: the service as a child that gets our arguments and signals. */
export async function run(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const service = SERVICES.find((known): known is ServiceName => known === name);
  if (service === undefined) {
    process.stderr.write(HELP);
    return name === '--help' ? 0 : 64;
  }
  const child = spawn(process.execPath, [...process.execArgv, entryOf(service), ...rest], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
