import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { measureOwnService } from './measure-own-service.ts';
import { measureService } from './measure-service.ts';

const root = mkdtempSync(join(tmpdir(), 'cloister-measure-own-'));
const service = join(root, 'services', 's');
mkdirSync(join(service, 'src', 'deep'), { recursive: true });
mkdirSync(join(root, 'packages'));
writeFileSync(join(service, 'package.json'), '{"name":"@x/s"}');
writeFileSync(join(service, 'src', 'main.ts'), 'main');
writeFileSync(join(service, 'src', 'deep', 'part.ts'), 'part');
writeFileSync(join(root, 'package-lock.json'), '{}');
const measureFrom = (...path: string[]) =>
  measureOwnService(pathToFileURL(join(...path)).href, 's');

describe('measureOwnService', () => {
  after(() => rmSync(root, { recursive: true }));

  it('measures the service that a module belongs to, however deep it lies', async () => {
    const measured = await measureService({ root, service: 's' });
    assert.equal(await measureFrom(service, 'src', 'main.ts'), measured);
    assert.equal(await measureFrom(service, 'src', 'deep', 'part.ts'), measured);
  });

  it('measures a copy by itself, wherever below the root it lies', async () => {
    const folder = join(root, 'elsewhere', 'below', 'copy');
    cpSync(service, folder, { recursive: true });
    writeFileSync(join(folder, 'src', 'main.ts'), 'changed');
    const measured = await measureFrom(folder, 'src', 'main.ts');
    assert.equal(measured, await measureService({ root, service: 's', folder }));
    assert.notEqual(measured, await measureService({ root, service: 's' }));
  });

  it('says so when no package or no lockfile lies above', async () => {
    const bare = mkdtempSync(join(tmpdir(), 'cloister-measure-own-'));
    try {
      await assert.rejects(measureFrom(bare, 'main.ts'), { code: 'sources_unreadable' });
      writeFileSync(join(bare, 'package.json'), '{}');
      await assert.rejects(measureFrom(bare, 'main.ts'), { code: 'sources_unreadable' });
    } finally {
      rmSync(bare, { recursive: true });
    }
  });
});
