/**
 * `npm run bench -- [--json] [--only <group>]`: figures of this machine, now. Ratios compare with
 * a peer or a floor measured in the same run; absolute numbers mean nothing on another machine.
 */
import { parseArgs } from 'node:util';
import type { Report } from './figure.ts';

const GROUPS = ['evidence', 'attestation', 'channel', 'inference', 'cache', 'broker'] as const;

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const chosen = GROUPS.filter((group) => values.only === undefined || values.only === group);
if (chosen.length === 0) {
  process.stderr.write(`no group ${values.only ?? ''}: there are ${GROUPS.join(', ')}\n`);
  process.exit(2);
}
for (const group of chosen) {
  const { run } = (await import(`./${group}.ts`)) as { run: (report: Report) => Promise<void> };
  await run((figure) => {
    if (values.json) process.stdout.write(`${JSON.stringify({ group, ...figure })}\n`);
    else {
      const ratio =
        figure.ratio === undefined ? '' : `  ${figure.ratio.toFixed(2)} x ${figure.against ?? ''}`;
      process.stdout.write(
        `${group.padEnd(12)} ${figure.name.padEnd(58)} ${figure.value.toFixed(2).padStart(12)} ${figure.unit}${ratio}\n`,
      );
    }
  });
}
process.exit(0);
