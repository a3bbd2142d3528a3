import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8 } from '@cloister/bytes';
import { failingSecrets, memorySecrets } from '../../tools/test-secrets.ts';
import { anchorWithin } from './anchor-keeper.ts';
import { createSealedAnchor } from './head-anchor.ts';

const hash = new Uint8Array(32).fill(9);

describe('createSealedAnchor', () => {
  it('gives back the head that was written, and moves only from the one it is at', async () => {
    const anchor = createSealedAnchor(memorySecrets());
    assert.equal(await anchor.read(), undefined);
    const first = { value: 7, hash };
    assert.equal(await anchor.advance(undefined, first), true);
    assert.deepEqual(await anchor.read(), first);
    assert.equal(await anchor.advance(undefined, { value: 9, hash }), false);
    assert.equal(await anchor.advance(first, { value: 9, hash }), true);
    assert.equal((await anchor.read())?.value, 9);
  });

  it('reads what the first version wrote: the position', async () => {
    const secrets = memorySecrets();
    const text = JSON.stringify({ position: 6, hash: '09'.repeat(32) });
    await secrets.put('records-log-head', encodeUtf8(text));
    assert.deepEqual(await createSealedAnchor(secrets).read(), { value: 7, hash });
  });

  it('says that it was tampered with, and passes other failures on', async () => {
    const tampered = createSealedAnchor(failingSecrets('secret_tampered'));
    await assert.rejects(tampered.read(), { name: 'TamperedError', code: 'not_authentic' });
    const broken = createSealedAnchor(failingSecrets('secret_unreadable'));
    await assert.rejects(broken.read(), { code: 'secret_unreadable' });
  });
});

describe('anchorWithin', () => {
  it('reads what a manifest says', () => {
    assert.deepEqual(['500ms', '2s', '3m', 'answer', undefined].map(anchorWithin), [
      500,
      2000,
      180_000,
      'answer',
      1000,
    ]);
  });
});
