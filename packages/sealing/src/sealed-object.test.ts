import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Bytes, encodeUtf8, MalformedError } from '@cloister/bytes';
import { encodeObjectRef, type ObjectRef } from './object-ref.ts';
import { openObject, sealObject } from './sealed-object.ts';
import { importSealingKey } from './sealing-key.ts';
import { TamperedError } from './tampered-error.ts';

const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const key = await importSealingKey('k', random(32));
const ref: ObjectRef = { tenant: 'lamna', type: 'Patient', id: 'p1', version: 3 };
const text = encodeUtf8('{"resourceType":"Patient"}');
const tampered = (error: unknown) =>
  error instanceof TamperedError && error.code === 'not_authentic';

describe('sealObject and openObject', () => {
  it('give back what was sealed', async () => {
    const sealed = await sealObject(key, ref, text, { random });
    assert.deepEqual(await openObject(key, ref, sealed), text);
    assert.equal(Buffer.from(sealed).includes('Patient'), false);
  });

  it('never seal alike twice', async () => {
    const one = await sealObject(key, ref, text, { random });
    const two = await sealObject(key, ref, text, { random });
    assert.notDeepEqual(one, two);
  });

  const others: [string, Partial<ObjectRef>][] = [
    ['tenant', { tenant: 'other' }],
    ['type', { type: 'Task' }],
    ['id', { id: 'p2' }],
    ['older version', { version: 2 }],
  ];
  for (const [what, change] of others) {
    it(`refuse an object of another ${what}`, async () => {
      const sealed = await sealObject(key, ref, text, { random });
      await assert.rejects(openObject(key, { ...ref, ...change }, sealed), tampered);
    });
  }

  it('refuse another context and another key', async () => {
    const sealed = await sealObject(key, ref, text, { random, context: encodeUtf8('7') });
    await assert.rejects(openObject(key, ref, sealed, encodeUtf8('8')), tampered);
    const other = await importSealingKey('k', random(32));
    await assert.rejects(openObject(other, ref, sealed, encodeUtf8('7')), tampered);
  });

  it('refuse every flipped bit and every shorter prefix', async () => {
    const sealed = await sealObject(key, ref, text, { random });
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice();
      changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
      await assert.rejects(openObject(key, ref, changed), i === 0 ? MalformedError : tampered);
    }
    for (let n = 0; n < sealed.length; n++) {
      await assert.rejects(
        openObject(key, ref, sealed.subarray(0, n)),
        (error) => error instanceof MalformedError || tampered(error),
      );
    }
  });

  it('do not confuse references whose parts run together alike', () => {
    const a = encodeObjectRef({ tenant: 'a', type: 'bc', id: 'd', version: 1 });
    const b = encodeObjectRef({ tenant: 'ab', type: 'c', id: 'd', version: 1 });
    assert.notDeepEqual(a, b);
  });
});

describe('importSealingKey', () => {
  it('refuses keys of another length', async () => {
    await assert.rejects(importSealingKey('k', random(16)), RangeError);
  });
});
