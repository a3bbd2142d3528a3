import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes } from '@cloister/bytes';
import { openBytes, sealBytes } from './model-file.ts';
import type { ObjectRef } from './object-ref.ts';
import { CHUNK_LENGTH, openBlob, sealBlob } from './sealed-blob.ts';
import { importSealingKey } from './sealing-key.ts';
import { TamperedError } from './tampered-error.ts';

const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const key = await importSealingKey('k', random(32));
const ref: ObjectRef = { tenant: 'lamna', type: 'image', id: 'i1', version: 1 };
const HEADER = 36;
const SEALED = CHUNK_LENGTH + 16;

async function collect(stream: AsyncIterable<Bytes>): Promise<Bytes[]> {
  const parts: Bytes[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
const seal = (bytes: Bytes) => collect(sealBlob(key, ref, [bytes], random));
const open = async (source: readonly Uint8Array[], as: ObjectRef = ref) =>
  concatBytes(...(await collect(openBlob(key, as, source))));
const refused = (error: unknown) => error instanceof TamperedError;

describe('sealBlob and openBlob', () => {
  for (const length of [0, 1, 1000, CHUNK_LENGTH - 1, CHUNK_LENGTH, CHUNK_LENGTH + 1]) {
    it(`give back ${length} bytes, however the stream is cut`, async () => {
      const bytes = new Uint8Array(length).fill(7);
      const sealed = concatBytes(...(await seal(bytes)));
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < sealed.length; at += 300_007)
        pieces.push(sealed.subarray(at, at + 300_007));
      assert.deepEqual(await open(pieces), bytes);
    });
  }

  it('hold one chunk at a time, not the blob', async () => {
    let given = 0;
    let opened = 0;
    async function* source() {
      for (let i = 0; i < 64; i++) {
        given++;
        yield new Uint8Array(CHUNK_LENGTH);
      }
    }
    for await (const chunk of openBlob(key, ref, sealBlob(key, ref, source(), random))) {
      opened += chunk.length;
      assert.ok(given * CHUNK_LENGTH - opened <= 3 * CHUNK_LENGTH);
    }
    assert.equal(opened, 64 * CHUNK_LENGTH);
  });

  describe('refuse', () => {
    const plain = new Uint8Array(3 * CHUNK_LENGTH + 5);
    const parts = async () => {
      const sealed = concatBytes(...(await seal(plain)));
      const chunk = (i: number) => sealed.subarray(HEADER + i * SEALED, HEADER + (i + 1) * SEALED);
      return { header: sealed.subarray(0, HEADER), chunk };
    };

    it('swapped chunks', async () => {
      const { header, chunk } = await parts();
      await assert.rejects(open([header, chunk(1), chunk(0), chunk(2), chunk(3)]), refused);
    });
    it('a missing chunk in the middle', async () => {
      const { header, chunk } = await parts();
      await assert.rejects(open([header, chunk(0), chunk(2), chunk(3)]), refused);
    });
    it('a missing last chunk', async () => {
      const { header, chunk } = await parts();
      await assert.rejects(open([header, chunk(0), chunk(1), chunk(2)]), refused);
    });
    it('a repeated chunk', async () => {
      const { header, chunk } = await parts();
      await assert.rejects(open([header, chunk(0), chunk(0), chunk(2), chunk(3)]), refused);
    });
    it('bytes behind the end', async () => {
      const { header, chunk } = await parts();
      const all = [header, chunk(0), chunk(1), chunk(2), chunk(3), new Uint8Array(1)];
      await assert.rejects(open(all), refused);
    });
    it('a header alone, half a header, another magic', async () => {
      const { header } = await parts();
      await assert.rejects(open([header]), { code: 'blob_truncated' });
      await assert.rejects(open([header.subarray(0, 10)]), { code: 'blob_truncated' });
      await assert.rejects(open([new Uint8Array(60)]), { code: 'not_authentic' });
    });
    it('another object', async () => {
      const sealed = await seal(plain);
      await assert.rejects(open(sealed, { ...ref, id: 'i2' }), refused);
    });
    it('a flipped bit anywhere', async () => {
      const sealed = concatBytes(...(await seal(new Uint8Array(100))));
      for (let i = 0; i < sealed.length; i++) {
        const changed = sealed.slice();
        changed[i] = (changed[i] ?? 0) ^ 0x80;
        await assert.rejects(open([changed]), refused);
      }
    });
    it('every shorter prefix', async () => {
      const sealed = concatBytes(...(await seal(new Uint8Array(100))));
      for (let n = 0; n < sealed.length; n++)
        await assert.rejects(open([sealed.subarray(0, n)]), refused);
    });
  });
});

describe('sealBytes and openBytes', () => {
  const raw = random(32);
  it('give the file back, under the same name only', async () => {
    const file = random(50_000);
    const sealed = await sealBytes(raw, file, 'model/a/1', random);
    assert.deepEqual(await openBytes(raw, sealed, 'model/a/1'), file);
    await assert.rejects(openBytes(raw, sealed, 'model/a/2'), refused);
    await assert.rejects(openBytes(random(32), sealed, 'model/a/1'), refused);
  });
});
