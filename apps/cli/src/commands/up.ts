import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDeployment } from '../local/deployment.ts';
import { ROOT } from '../local/places.ts';
import { portsFrom } from '../local/ports.ts';

const HELP = `cloister up [options]   runs the whole platform on this machine, on simulated hardware

  --data <folder>   where everything is kept (default: .cloister in the project)
  --port <n>        the portal's port; the services take the seven after it (default: 7400)
  --redis <address> a Redis to share a cache in: unix:/path, redis://127.0.0.1:6379 (default: none)

Ctrl-C ends all of it.
`;

/** `cloister up`: what `npm start` runs. */
export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string' },
      port: { type: 'string', default: '7400' },
      redis: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const stopping = new Promise<number>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => done(0));
  });
  const started = performance.now();
  const broken = Promise.withResolvers<number>();
  const deployment = await startDeployment({
    folder: resolve(values.data ?? `${ROOT}/.cloister`),
    ports: await portsFrom(Number(values.port)),
    portal: true,
    redis: values.redis,
    tell: (line) => say(`  ${line}`),
    onExit: (name, code) => {
      process.stderr.write(`${name} ended by itself (exit code ${code}): stopping the rest\n`);
      broken.resolve(1);
    },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(
    `\nCloister is ready after ${seconds} s. SIMULATED hardware: for trying, not for patients.\n`,
  );
  say(`  open      ${deployment.portal}\n`);
  for (const { user, password, role } of deployment.accounts) {
    say(`  sign in   ${user} / ${password}   (${role})`);
  }
  say(`\n  logs      ${deployment.places.logs}`);
  say(`  verify    npx cloister verify ${deployment.urls.records}`);
  say('\nCtrl-C ends it.');
  const code = await Promise.race([stopping, broken.promise]);
  say('stopping');
  await deployment.stop();
  return code;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
