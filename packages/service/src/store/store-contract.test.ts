import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8, type Bytes } from '@cloister/bytes';
import type { Store, StoreEntry, StoreHead } from './store.ts';

/** A place of a store, which outlives the processes that open it. */
export interface Place {
  open(): Promise<Store>;
  remove(): Promise<void>;
}

const bytes = (text: string): Bytes => encodeUtf8(text);
const START: StoreHead = { position: 0, hash: new Uint8Array(0) };

/** An entry at a position; its hash only has to differ. */
export function entryAt(position: number, text = `content ${position}`): StoreEntry {
  return {
    position,
    hash: bytes(`hash ${position} ${text}`),
    header: bytes(''),
    content: bytes(text),
  };
}

async function all(store: Store, from?: number): Promise<StoreEntry[]> {
  const found: StoreEntry[] = [];
  for await (const entry of store.entries(from)) found.push(entry);
  return found;
}

/** What every store keeps (storage spec 2.3): the same suite for all of them. */
export function storeContract(
  name: string,
  makePlace: () => Promise<Place>,
  { skip = false }: { skip?: string | boolean } = {},
): void {
  const withStore = (work: (store: Store, place: Place) => Promise<void>) => async () => {
    const place = await makePlace();
    const store = await place.open();
    try {
      await work(store, place);
    } finally {
      await store.close();
      await place.remove();
    }
  };

  describe(`${name}: the log`, { skip }, () => {
    it(
      'is empty at first',
      withStore(async (store) => {
        assert.deepEqual(await store.head(), START);
        assert.deepEqual(await all(store), []);
        assert.equal(await store.entry(1), undefined);
      }),
    );

    it(
      'gives back entries in order, from any position, also after it was opened again',
      withStore(async (store, place) => {
        const first = [entryAt(1), { ...entryAt(2), header: bytes('a header') }];
        await store.commit({ append: { after: START, entries: first } });
        const { position, hash } = first[1] ?? START;
        assert.deepEqual(await store.head(), { position, hash });
        await store.commit({ append: { after: { position, hash }, entries: [entryAt(3)] } });
        await store.close();
        const again = await place.open();
        try {
          assert.deepEqual(await all(again), [...first, entryAt(3)]);
          assert.deepEqual(await all(again, 3), [entryAt(3)]);
          assert.deepEqual(await all(again, 4), []);
          assert.deepEqual(await again.entry(2), first[1]);
          assert.equal((await again.head()).position, 3);
        } finally {
          await again.close();
        }
      }),
    );

    it(
      'streams more entries than fit into one page',
      withStore(async (store) => {
        const entries = Array.from({ length: 600 }, (_, i) => entryAt(i + 1));
        await store.commit({ append: { after: START, entries } });
        assert.equal((await all(store)).length, 600);
        assert.deepEqual(await store.entry(600), entries[599]);
      }),
    );

    it(
      'refuses to append behind another head: position or hash',
      withStore(async (store) => {
        const one = entryAt(1);
        await store.commit({ append: { after: START, entries: [one] } });
        const conflict = { name: 'StoreError', code: 'conflict' };
        await assert.rejects(
          store.commit({ append: { after: START, entries: [entryAt(1, 'other')] } }),
          conflict,
        );
        const forged = { position: 1, hash: bytes('not that hash') };
        await assert.rejects(
          store.commit({ append: { after: forged, entries: [entryAt(2)] } }),
          conflict,
        );
        const late = { position: 2, hash: one.hash };
        await assert.rejects(
          store.commit({ append: { after: late, entries: [entryAt(3)] } }),
          conflict,
        );
        assert.deepEqual(await all(store), [one]);
      }),
    );

    it(
      'refuses entries with a gap',
      withStore(async (store) => {
        const entries = [entryAt(1), entryAt(3)];
        await assert.rejects(store.commit({ append: { after: START, entries } }), RangeError);
        assert.deepEqual(await store.head(), START);
      }),
    );

    it(
      'lets one of several writers behind the same head win',
      withStore(async (store) => {
        const attempts = await Promise.allSettled(
          ['a', 'b', 'c', 'd'].map((text) =>
            store.commit({ append: { after: START, entries: [entryAt(1, text)] } }),
          ),
        );
        assert.equal(attempts.filter(({ status }) => status === 'fulfilled').length, 1);
        for (const attempt of attempts)
          if (attempt.status === 'rejected')
            assert.equal((attempt.reason as { code: string }).code, 'conflict');
        assert.equal((await all(store)).length, 1);
      }),
    );
  });

  describe(`${name}: values`, { skip }, () => {
    it(
      'have versions, and change only from the version that was read',
      withStore(async (store) => {
        assert.deepEqual(await store.value('a'), { version: 0, value: undefined });
        await store.commit({ values: [{ key: 'a', version: 0, value: bytes('1') }] });
        assert.deepEqual(await store.value('a'), { version: 1, value: bytes('1') });
        await store.commit({ values: [{ key: 'a', version: 1, value: bytes('2') }] });
        assert.deepEqual(await store.value('a'), { version: 2, value: bytes('2') });
        for (const version of [0, 1, 3])
          await assert.rejects(
            store.commit({ values: [{ key: 'a', version, value: bytes('x') }] }),
            { code: 'conflict' },
            `version ${version}`,
          );
        assert.deepEqual(await store.value('a'), { version: 2, value: bytes('2') });
      }),
    );

    it(
      'do not take an old version again after they were removed',
      withStore(async (store) => {
        await store.commit({ values: [{ key: 'a', version: 0, value: bytes('1') }] });
        await store.commit({ values: [{ key: 'a', version: 1, value: undefined }] });
        assert.deepEqual(await store.value('a'), { version: 2, value: undefined });
        assert.deepEqual(await store.keys(''), []);
        for (const version of [0, 1])
          await assert.rejects(
            store.commit({ values: [{ key: 'a', version, value: bytes('x') }] }),
            { code: 'conflict' },
          );
        await store.commit({ values: [{ key: 'a', version: 2, value: bytes('new') }] });
        assert.deepEqual(await store.value('a'), { version: 3, value: bytes('new') });
      }),
    );

    it(
      'are listed by the beginning of their keys, which is taken literally',
      withStore(async (store) => {
        const keys = ['secret/b', 'secret/a', 'secret%', 'secre', 'SECRET/c', 'secret/%'];
        await store.commit({ values: keys.map((key) => ({ key, version: 0, value: bytes('') })) });
        assert.deepEqual(await store.keys('secret/'), ['secret/%', 'secret/a', 'secret/b']);
        assert.deepEqual(await store.keys('secret%'), ['secret%']);
        assert.equal((await store.keys('')).length, keys.length);
      }),
    );

    it(
      'may be empty, large, and of any bytes',
      withStore(async (store) => {
        const large = new Uint8Array(1 << 20).map((_, i) => i % 256);
        await store.commit({
          values: [
            { key: 'empty', version: 0, value: new Uint8Array(0) },
            { key: 'large', version: 0, value: large },
          ],
        });
        assert.deepEqual((await store.value('empty')).value, new Uint8Array(0));
        assert.deepEqual((await store.value('large')).value, large);
      }),
    );

    it(
      'refuse a batch that names one key twice',
      withStore(async (store) => {
        const change = { key: 'a', version: 0, value: bytes('1') };
        await assert.rejects(store.commit({ values: [change, change] }), RangeError);
      }),
    );
  });

  describe(`${name}: markers`, { skip }, () => {
    it(
      'are taken once, and forgotten when their time is over',
      withStore(async (store) => {
        const marker = bytes('a request');
        assert.equal(await store.hasMarker(marker), false);
        await store.commit({ markers: [{ marker, until: 1000 }] });
        assert.equal(await store.hasMarker(marker), true);
        await assert.rejects(store.commit({ markers: [{ marker, until: 2000 }] }), {
          code: 'replayed',
        });
        await store.forget(999);
        assert.equal(await store.hasMarker(marker), true);
        await store.forget(1000);
        assert.equal(await store.hasMarker(marker), false);
        await store.commit({ markers: [{ marker, until: 3000 }] });
      }),
    );
  });

  describe(`${name}: batches`, { skip }, () => {
    const value = { key: 'a', version: 0, value: bytes('1') };
    const marker = { marker: bytes('m'), until: 1 };
    const append = { after: START, entries: [entryAt(1)] };
    const nothing = async (store: Store): Promise<void> => {
      assert.deepEqual(await store.head(), START);
      assert.equal((await store.value('b')).version, 0);
      assert.equal(await store.hasMarker(bytes('n')), false);
    };

    it(
      'are written whole',
      withStore(async (store) => {
        await store.commit({ append, values: [value], markers: [marker] });
        assert.equal((await store.head()).position, 1);
        assert.equal((await store.value('a')).version, 1);
        assert.equal(await store.hasMarker(marker.marker), true);
      }),
    );

    it(
      'leave nothing behind where the value is what fails',
      withStore(async (store) => {
        const stale = { key: 'a', version: 7, value: bytes('x') };
        const rest = { append, markers: [{ marker: bytes('n'), until: 1 }] };
        const other = { key: 'b', version: 0, value: bytes('x') };
        await assert.rejects(store.commit({ ...rest, values: [other, stale] }), {
          code: 'conflict',
        });
        await nothing(store);
      }),
    );

    it(
      'leave nothing behind where the marker is what fails',
      withStore(async (store) => {
        await store.commit({ markers: [marker] });
        const values = [{ key: 'b', version: 0, value: bytes('x') }];
        const markers = [{ marker: bytes('n'), until: 1 }, marker];
        await assert.rejects(store.commit({ append, values, markers }), { code: 'replayed' });
        await nothing(store);
      }),
    );

    it(
      'leave nothing behind where the head is what fails',
      withStore(async (store) => {
        const late = { after: { position: 9, hash: bytes('h') }, entries: [entryAt(10)] };
        const values = [{ key: 'b', version: 0, value: bytes('x') }];
        const markers = [{ marker: bytes('n'), until: 1 }];
        await assert.rejects(store.commit({ append: late, values, markers }), {
          code: 'conflict',
        });
        await nothing(store);
      }),
    );
  });

  describe(`${name}: a store that is closed`, { skip }, () => {
    it(
      'is unavailable, and may be closed twice',
      withStore(async (store) => {
        await store.close();
        await store.close();
        await assert.rejects(store.head(), { code: 'unavailable' });
        await assert.rejects(store.commit({ markers: [] }), { code: 'unavailable' });
      }),
    );
  });
}
