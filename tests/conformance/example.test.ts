// The example for other people's services: it runs, and refuses what it says that it refuses.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLE = join(ROOT, 'examples', 'joint-analytics');

// A test runner under a test runner would report to that, and say nothing.
const { NODE_TEST_CONTEXT: _, ...env } = process.env;
const run = (...args: readonly string[]) =>
  spawnSync(process.execPath, ['--conditions=@cloister/source', ...args], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });

describe('examples/joint-analytics', () => {
  it('computes what two banks may know, and tells both the same', () => {
    const { status, stdout, stderr } = run(join(EXAMPLE, 'run.ts'));
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    const [north = '', south = ''] = stdout.trim().split('\n');
    assert.match(
      north,
      /^north-bank: \{"customers":200,"mean":\[555\.5,1260\],"correlation":0\.98\d+\}$/,
    );
    assert.equal(south, north.replace('north', 'south'));
  });

  it('has tests of its own, and they pass', () => {
    const { status, stdout } = run(
      '--test',
      '--test-reporter=tap',
      join(EXAMPLE, 'src/app.test.ts'),
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /# pass 5/);
  });

  it('compiles', () => {
    const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', EXAMPLE], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
  });

  it('is what the guide shows', () => {
    const guide = readFileSync(join(ROOT, 'docs/guides/your-own-service.md'), 'utf8');
    const shown = [...guide.matchAll(/^```ts from (\S+)\n([^]*?)^```$/gm)];
    assert.ok(shown.length >= 3);
    for (const [, file = '', code = ''] of shown) {
      const source = readFileSync(join(EXAMPLE, file), 'utf8').replaceAll(/^ +/gm, '');
      assert.ok(source.includes(code.replaceAll(/^ +/gm, '').trim()), `${file}:\n${code}`);
    }
  });

  describe('with code that nobody agreed on', () => {
    let folder = '';
    before(() => {
      mkdirSync(join(ROOT, '.cloister'), { recursive: true });
      folder = mkdtempSync(join(ROOT, '.cloister', 'example-'));
      cpSync(join(EXAMPLE, 'src'), join(folder, 'src'), { recursive: true });
      cpSync(join(EXAMPLE, 'package.json'), join(folder, 'package.json'));
      const file = join(folder, 'src/statistics.ts');
      const source = readFileSync(file, 'utf8');
      const changed = source.replace('SMALLEST_GROUP = 5', 'SMALLEST_GROUP = 1');
      assert.notEqual(changed, source);
      writeFileSync(file, changed);
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    it('gets nothing from either bank', () => {
      const { status, stdout } = run(join(EXAMPLE, 'run.ts'), '--service', folder);
      assert.equal(status, 2, stdout);
      assert.match(stdout, /^north-bank: not trusted, nothing was sent \(\w+\)\n/);
      assert.match(stdout, /^south-bank: not trusted, nothing was sent \(\w+\)$/m);
    });
  });
});
