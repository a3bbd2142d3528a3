import { readFile } from 'node:fs/promises';
import { ConfigError, loadConfig, runMain } from '@cloister/service';
import { configSchema } from './config.ts';
import { runService } from './run-service.ts';

/** Not a constant import: bundles for production are made without this file. */
const DEVELOPMENT = ['.', 'development.ts'].join('/');
const args = process.argv.slice(2);

await runMain(process, async () => {
  if (args.includes('--development')) {
    const { runDevelopment } = await loadDevelopment();
    await runDevelopment(args);
    return;
  }
  const config = await loadConfig(configSchema, {
    env: process.env,
    args,
    readFile: (path) => readFile(path, 'utf8'),
  });
  await runService(config);
});

async function loadDevelopment(): Promise<typeof import('./development.ts')> {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the module's own type
    return (await import(DEVELOPMENT)) as typeof import('./development.ts');
  } catch (error) {
    throw new ConfigError('--development: not in this build', { cause: error });
  }
}
