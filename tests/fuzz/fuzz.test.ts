import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Coverage } from './coverage.ts';
import { fuzz } from './fuzz.ts';
import { runFuzz } from './run-fuzz.ts';
import { TARGET_NAMES } from './target-names.ts';
import type { Target } from './target.ts';

/** A smoke run; people run `tests/fuzz/main.ts` for longer. */
const SECONDS = Number(process.env['CLOISTER_FUZZ_SECONDS'] ?? '1');
/** The same inputs each time: what fails here fails for everybody. */
const SEED = 20_261_124;

const base = { seeds: () => [Buffer.from('seed')], limitMs: 50 };
const coverage = new Coverage();
coverage.start();

function run(target: Target) {
  return fuzz(target, coverage, { milliseconds: 500, seed: SEED });
}

describe('the fuzzer itself', () => {
  it('finds an error that is not documented', async () => {
    const { findings } = await run({
      ...base,
      name: 'fails',
      run: (input) => {
        if (input.length > 6) throw new TypeError('not documented');
      },
    });
    assert.equal(findings[0]?.rule, 'undocumented error');
    const input = Buffer.from(findings[0].inputBase64, 'base64');
    assert.ok(input.length > 6);
  });

  it('finds an input that takes too long', async () => {
    const { findings } = await run({
      ...base,
      name: 'slow',
      run: (input) => {
        const end = performance.now() + (input.length > 6 ? 80 : 0);
        while (performance.now() < end);
      },
    });
    assert.equal(findings[0]?.rule, 'too slow');
  });

  it('keeps what reaches new code, and so goes further than chance would', async () => {
    const { decodeStaircase } = await import('./staircase.ts');
    let depth = 0;
    await fuzz(
      {
        ...base,
        name: 'staircase',
        run: (input) => {
          depth = Math.max(depth, decodeStaircase(input));
        },
      },
      coverage,
      { milliseconds: 4000, seed: SEED },
    );
    assert.ok(depth >= 5, `depth ${depth}`);
  });
});

describe('fuzzing finds nothing', { concurrency: 2 }, () => {
  for (const name of TARGET_NAMES) {
    it(`in ${name}`, async (t) => {
      const report = await runFuzz(name, { milliseconds: SECONDS * 1000, seed: SEED });
      const { executions, corpus, blocks, findings } = report;
      t.diagnostic(`${executions} inputs, ${corpus} kept, ${blocks} blocks`);
      assert.deepEqual(findings, []);
      assert.ok(executions > 20, `${executions} inputs`);
    });
  }

  it('in all targets there are', async () => {
    const { TARGETS } = await import('./targets.ts');
    assert.deepEqual([...TARGETS.keys()], TARGET_NAMES);
  });
});
