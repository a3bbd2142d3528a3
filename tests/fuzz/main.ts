/**
 * Fuzzing for people: `node --conditions=@cloister/source tests/fuzz/main.ts [--target <name>]…
 * [--seconds <n>] [--seed <n>] [--replay <base64>]`. Without a target, all in turn. What it finds is
 * printed with its input and is written to `.cloister/fuzz/`. 2 if there was something.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runFuzz } from './run-fuzz.ts';
import { TARGET_NAMES } from './target-names.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    replay: { type: 'string' },
  },
});
const names = values.target ?? TARGET_NAMES;
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const folder = new URL('../../.cloister/fuzz/', import.meta.url);
let found = 0;

if (values.replay === undefined) {
  process.stdout.write(`seed ${seed}\n`);
  for (const name of names) {
    const report = await runFuzz(name, { milliseconds: Number(values.seconds) * 1000, seed });
    const { executions, corpus, blocks, findings } = report;
    const reached = `${executions} inputs, ${corpus} kept, ${blocks} blocks`;
    process.stdout.write(`${name}: ${reached}, ${findings.length} findings\n`);
    for (const { rule, detail, inputBase64 } of findings) {
      found += 1;
      mkdirSync(folder, { recursive: true });
      writeFileSync(
        new URL(`${name}-${seed}-${found}.bin`, folder),
        Buffer.from(inputBase64, 'base64'),
      );
      process.stdout.write(`  ${rule}: ${detail}\n  ${inputBase64}\n`);
    }
  }
} else {
  const { TARGETS } = await import('./targets.ts');
  for (const name of names) {
    try {
      const result = await TARGETS.get(name)?.run(
        new Uint8Array(Buffer.from(values.replay, 'base64')),
      );
      process.stdout.write(`${name}: read (${typeof result})\n`);
    } catch (error) {
      process.stdout.write(`${name}: ${error instanceof Error ? (error.stack ?? '') : ''}\n`);
    }
  }
}
process.exitCode = found === 0 ? 0 : 2;
