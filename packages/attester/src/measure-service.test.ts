import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { measureService } from './measure-service.ts';

const root = mkdtempSync(join(tmpdir(), 'cloister-measure-'));
const write = (folder: string, files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
};
const named = (name: string, ...dependencies: string[]) =>
  JSON.stringify({ name, dependencies: Object.fromEntries(dependencies.map((d) => [d, '1'])) });
const MEASURED: Readonly<Record<string, string>> = {
  'package-lock.json': '{}',
  'packages/below/package.json': named('@x/below'),
  'packages/below/src/deep/index.ts': 'below',
  'packages/between/package.json': named('@x/between', '@x/below', 'hono'),
  'packages/between/src/index.ts': 'between',
  'services/s/package.json': named('@x/s', '@x/between'),
  'services/s/src/main.ts': 'main',
  'services/s/src/data.json': '{}',
};
const OTHERS: Readonly<Record<string, string>> = {
  'packages/below/src/deep/index.test.ts': 'test',
  'packages/below/README.md': 'words',
  'packages/aside/package.json': named('@x/aside'),
  'packages/aside/src/index.ts': 'aside',
  'services/t/package.json': named('@x/t'),
  'services/t/src/main.ts': 'another service',
};
write(root, { ...MEASURED, ...OTHERS, node: 'the program' });
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const measure = (folder: string) =>
  measureService({ root: folder, service: 's', node: join(folder, 'node') });
const variant = async (file: string) => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-measure-'));
  cpSync(root, folder, { recursive: true });
  writeFileSync(join(folder, file), file.endsWith('package.json') ? named('@x/new') : 'changed');
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

describe('measureService', () => {
  after(() => rmSync(root, { recursive: true }));
  it('is SHA-256 over the sorted lines of digests and paths', async () => {
    const lines = Object.entries({ ...MEASURED, node: 'the program' }).map(
      ([path, text]) => `${sha256(text)}  ${path}`,
    );
    assert.equal(await measure(root), sha256(`${lines.toSorted().join('\n')}\n`));
  });

  for (const file of ['node', ...Object.keys(MEASURED)].filter((f) => !f.endsWith('package.json')))
    it(`changes with ${file}`, async () => {
      assert.notEqual(await variant(file), await measure(root));
    });

  for (const file of Object.keys(OTHERS).filter((f) => !f.endsWith('package.json')))
    it(`does not change with ${file}`, async () => {
      assert.equal(await variant(file), await measure(root));
    });

  it('says so when there is nothing to measure', async () => {
    await assert.rejects(measureService({ root, service: 'absent' }), {
      code: 'sources_unreadable',
    });
  });
});
