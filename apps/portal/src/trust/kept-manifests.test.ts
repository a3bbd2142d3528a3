import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keptManifests } from './kept-manifests.ts';

/** A browser's storage with this in it. */
function storageWith(value: string | null) {
  const written: [string, string][] = [];
  const storage = {
    getItem: () => value,
    setItem: (name: string, text: string) => void written.push([name, text]),
  };
  return { kept: keptManifests(() => storage as unknown as Storage), written };
}
const denied = keptManifests(() => {
  throw new DOMException('denied', 'SecurityError');
});

describe('keptManifests', () => {
  it('keeps texts, and gives them back', () => {
    const { kept, written } = storageWith('["a","b"]');
    assert.deepEqual(kept.read(), ['a', 'b']);
    kept.keep(['c']);
    assert.deepEqual(written, [['cloister.manifests', '["c"]']]);
  });

  it('reads nothing from what it has not kept, or where the browser keeps nothing', () => {
    for (const value of [null, '', 'x', '{}', '7', '['.repeat(9000), `["${'x'.repeat(5 << 20)}"]`])
      assert.deepEqual(storageWith(value).kept.read(), [], value?.slice(0, 9));
    assert.deepEqual(storageWith('[1,{},"a"]').kept.read(), ['a']);
    assert.deepEqual(denied.read(), []);
    denied.keep(['a']);
  });

  it('is bounded', () => {
    const many = JSON.stringify(Array.from({ length: 1000 }, () => 'a'));
    assert.equal(storageWith(many).kept.read().length, 64);
  });
});
