import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { encodeUtf8 } from '@cloister/bytes';
import { openSealedSecrets } from './sealed-secrets.ts';
import type { SimulatedMachine } from './simulated-machine.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-sealed-'));
const machine = (fill: number) =>
  ({ sealingRoot: new Uint8Array(32).fill(fill) }) as unknown as SimulatedMachine;
const mine = { folder, platform: machine(1), mrsigner: 'aa', isvProdId: 100 };
const secrets = openSealedSecrets(mine);
const value = encodeUtf8('a secret that must not be read');

describe('openSealedSecrets', () => {
  after(() => rmSync(folder, { recursive: true }));

  it('gives back what was put, after a restart too, and the newest', async () => {
    await secrets.put('model-key', encodeUtf8('older'));
    await secrets.put('model-key', value);
    assert.deepEqual(await openSealedSecrets(mine).get('model-key'), value);
  });

  it('leaves one file that only the owner reads, and that does not hold the secret', () => {
    assert.deepEqual(readdirSync(folder), ['model-key.sealed']);
    const file = join(folder, 'model-key.sealed');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.ok(!readFileSync(file).includes('secret'));
  });

  it('creates a secret once, whoever comes first, and forgets it when told', async () => {
    const tries = await Promise.all(
      [1, 2, 3].map((fill) => secrets.create('once', new Uint8Array([fill]))),
    );
    assert.equal(tries.filter(Boolean).length, 1);
    assert.deepEqual(await secrets.get('once'), new Uint8Array([tries.indexOf(true) + 1]));
    await secrets.remove('once');
    await secrets.remove('once');
    await assert.rejects(secrets.get('once'), { code: 'secret_missing' });
    assert.deepEqual(readdirSync(folder), ['model-key.sealed']);
  });

  it('says which secret is missing', async () => {
    await assert.rejects(secrets.get('other'), { code: 'secret_missing', where: 'other' });
    await assert.rejects(secrets.get('../model-key'), { code: 'secret_missing', where: 'name' });
  });

  const others = {
    'another platform': { platform: machine(2) },
    'another signer': { mrsigner: 'bb' },
    'another product': { isvProdId: 101 },
  };
  for (const [who, changed] of Object.entries(others))
    it(`does not open on ${who}`, async () => {
      const their = openSealedSecrets({ ...mine, ...changed });
      await assert.rejects(their.get('model-key'), { code: 'secret_tampered' });
    });

  it('does not open under another name', async () => {
    writeFileSync(join(folder, 'b.sealed'), readFileSync(join(folder, 'model-key.sealed')));
    await assert.rejects(secrets.get('b'), { code: 'secret_tampered' });
  });

  it('refuses every shorter file and every flipped bit', async () => {
    const good = readFileSync(join(folder, 'model-key.sealed'));
    for (let at = 0; at < good.length; at++) {
      writeFileSync(join(folder, 'c.sealed'), good.subarray(0, at));
      await assert.rejects(secrets.get('c'), { code: 'secret_tampered' });
      const flipped = Buffer.from(good);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(join(folder, 'model-key.sealed'), flipped);
      await assert.rejects(secrets.get('model-key'), { code: 'secret_tampered' });
    }
    writeFileSync(join(folder, 'model-key.sealed'), good);
    assert.deepEqual(await secrets.get('model-key'), value);
  });
});
