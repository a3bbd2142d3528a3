#!/usr/bin/env -S node --conditions=@cloister/source
import { silenceExpectedWarnings } from '@cloister/service';
import { COMMANDS, HELP } from './commands.ts';

silenceExpectedWarnings(process);

const [name = 'help', ...args] = process.argv.slice(2);
const load = COMMANDS.get(name);
if (load === undefined) {
  process.stderr.write(
    name === 'help' || name === '--help' ? HELP : `no command ${name}\n\n${HELP}`,
  );
  process.exitCode = name === 'help' || name === '--help' ? 0 : 64;
} else {
  try {
    const command = await load();
    process.exitCode = await command.run(args);
  } catch (error) {
    process.stderr.write(
      `cloister ${name}: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    process.exitCode = 1;
  }
}
