import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ContentLru } from './content-lru.ts';

const contentOf = (length: number, seed = 0) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);

describe('ContentLru', () => {
  it('finds contents of any length, and none that is not the same in every byte', () => {
    for (const length of [0, 1, 31, 32, 33, 255, 256, 257, 1000, 5000]) {
      const kept = new ContentLru<string>(8);
      const content = contentOf(length);
      kept.set(content.slice(), 'value');
      assert.equal(kept.get(content), 'value');
      assert.equal(kept.get(contentOf(length + 1)), undefined);
      for (let i = 0; i < length; i++) {
        const other = content.slice();
        other[i] = (other[i] ?? 0) ^ 0x80;
        assert.equal(kept.get(other), undefined, `byte ${i} of ${length}`);
      }
    }
  });

  it('lets contents that look alike take each other’s place, and serves neither for the other', () => {
    const kept = new ContentLru<string>(8);
    const a = contentOf(5000);
    const b = a.slice();
    // Between the bytes that are looked at.
    b[1] = 0;
    kept.set(a, 'a');
    assert.equal(kept.get(b), undefined);
    kept.set(b, 'b');
    assert.equal(kept.get(b), 'b');
    assert.equal(kept.get(a), undefined);
    assert.equal(kept.size, 1);
  });

  it('asks the given function whether contents are equal', () => {
    const kept = new ContentLru<string>(8);
    const asked: Uint8Array[] = [];
    const content = contentOf(100);
    kept.set(content, 'value');
    const equal = (a: Uint8Array, b: Uint8Array): boolean => {
      asked.push(a, b);
      return false;
    };
    const same = content.slice();
    assert.equal(kept.get(same, equal), undefined);
    assert.deepEqual([asked[0] === content, asked[1] === same, asked.length], [true, true, 2]);
  });

  it('holds no more than it was told, and nothing after clear', () => {
    const kept = new ContentLru<number>(2);
    for (let i = 0; i < 5; i++) kept.set(contentOf(64, i), i);
    assert.equal(kept.size, 2);
    assert.equal(kept.get(contentOf(64, 4)), 4);
    assert.equal(kept.get(contentOf(64, 0)), undefined);
    kept.clear();
    assert.equal(kept.size, 0);
    const none = new ContentLru<number>(0);
    none.set(contentOf(1), 1);
    assert.equal(none.size, 0);
  });
});
