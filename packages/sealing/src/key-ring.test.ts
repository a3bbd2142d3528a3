import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Bytes, encodeUtf8 } from '@cloister/bytes';
import { createWrappedKey, type NumberedKey, rewrapKey, unwrapKey } from './key-ring.ts';
import { openObject, sealObject } from './sealed-object.ts';
import { importSealingKey, type SealingKey } from './sealing-key.ts';
import { TamperedError, type TamperedCode } from './tampered-error.ts';

const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const text = encodeUtf8('{"resourceType":"Patient"}');
const tenantKey = async (version: number): Promise<NumberedKey> => ({
  version,
  key: await importSealingKey('tenant', random(32)),
});
const [one, two] = [await tenantKey(1), await tenantKey(2)];
const refused = (code: TamperedCode) => (error: unknown) =>
  error instanceof TamperedError && error.code === code && error.where === 'a wrapped key';
/** Whether two keys are the same: what one seals, the other opens. */
async function assertSame(a: SealingKey, b: SealingKey): Promise<void> {
  const ref = { tenant: 'lamna', type: 'Patient', id: 'p1', version: 3 };
  assert.deepEqual(await openObject(b, ref, await sealObject(a, ref, text, { random })), text);
}
/** A wrap of the first form, which names no version. */
async function unnumbered(by: NumberedKey, id: string): Promise<Bytes> {
  const ref = { tenant: 'lamna', type: 'wrapped-key', id, version: 1 };
  return sealObject(by.key, ref, new Uint8Array(32).fill(9), { random });
}
/** Puts it under the second key. */
const rewrap = (keys: NumberedKey[], wrapped: Bytes, id = 'p1') =>
  rewrapKey(keys, two, 'lamna', { id, wrapped, random });

describe('createWrappedKey and unwrapKey', () => {
  it('give the same key before and after, and the version that wraps it', async () => {
    const made = await createWrappedKey(two, 'lamna', 'p1', random);
    const { key, version } = await unwrapKey([one, two], 'lamna', 'p1', made.wrapped);
    assert.equal(version, 2);
    assert.equal(key.id, 'p1');
    await assertSame(made.key, key);
  });

  it('refuse a wrap of another key, tenant or tenant key', async () => {
    const { wrapped } = await createWrappedKey(one, 'lamna', 'p1', random);
    const not = refused('not_authentic');
    await assert.rejects(unwrapKey([one], 'lamna', 'p2', wrapped), not);
    await assert.rejects(unwrapKey([one], 'other', 'p1', wrapped), not);
    await assert.rejects(unwrapKey([{ ...two, version: 1 }], 'lamna', 'p1', wrapped), not);
  });

  it('say of a version that is not there that it is not', async () => {
    const { wrapped } = await createWrappedKey(one, 'lamna', 'p1', random);
    for (const keys of [[], [two]])
      await assert.rejects(unwrapKey(keys, 'lamna', 'p1', wrapped), refused('tenant_key_unknown'));
  });

  it('open the first form, which names no version, by whichever key it was made', async () => {
    const wrapped = await unnumbered(one, 'p1');
    assert.equal((await unwrapKey([two, one], 'lamna', 'p1', wrapped)).version, 1);
    await assert.rejects(unwrapKey([two], 'lamna', 'p1', wrapped), refused('tenant_key_unknown'));
    await assert.rejects(
      unwrapKey([two, one], 'lamna', 'p2', wrapped),
      refused('tenant_key_unknown'),
    );
  });

  it('do not take a wrap for one of another version or form', async () => {
    // The same bytes under both numbers: only the authenticated version tells them apart.
    const again = { ...one, version: 2 };
    const { wrapped } = await createWrappedKey(one, 'lamna', 'p1', random);
    const renamed = wrapped.slice();
    renamed[4] = 2;
    await assert.rejects(unwrapKey([again], 'lamna', 'p1', renamed), refused('not_authentic'));
    await assert.rejects(
      unwrapKey([one], 'lamna', 'p1', wrapped.slice(5)),
      refused('tenant_key_unknown'),
    );
    const claimed = new Uint8Array([2, 0, 0, 0, 1, ...(await unnumbered(one, 'p1'))]);
    await assert.rejects(unwrapKey([one], 'lamna', 'p1', claimed), refused('not_authentic'));
  });

  it('refuse every changed bit and every shorter or longer form', async () => {
    const { wrapped } = await createWrappedKey(one, 'lamna', 'p1', random);
    for (let bit = 0; bit < 8 * wrapped.length; bit++) {
      const changed = wrapped.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await assert.rejects(unwrapKey([one, two], 'lamna', 'p1', changed), TamperedError);
    }
    for (let n = 0; n < wrapped.length; n++)
      await assert.rejects(unwrapKey([one], 'lamna', 'p1', wrapped.subarray(0, n)), TamperedError);
    const longer = new Uint8Array([...wrapped, 0]);
    await assert.rejects(unwrapKey([one], 'lamna', 'p1', longer), refused('not_authentic'));
    for (let n = 0; n < 100; n++)
      await assert.rejects(unwrapKey([one], 'lamna', 'p1', random(n)), TamperedError);
  });
});

describe('rewrapKey', () => {
  it('puts the same key under another tenant key, which then opens it alone', async () => {
    const made = await createWrappedKey(one, 'lamna', 'p1', random);
    const wrapped = await rewrap([one, two], made.wrapped);
    const { key, version } = await unwrapKey([two], 'lamna', 'p1', wrapped);
    assert.equal(version, 2);
    await assertSame(made.key, key);
    await assert.rejects(unwrapKey([one], 'lamna', 'p1', wrapped), refused('tenant_key_unknown'));
  });

  it('brings the first form into the second', async () => {
    const old = await unnumbered(one, 'p1');
    const wrapped = await rewrap([two, one], old);
    const before = await unwrapKey([one], 'lamna', 'p1', old);
    await assertSame(before.key, (await unwrapKey([two], 'lamna', 'p1', wrapped)).key);
  });

  it('refuses what it cannot open', async () => {
    const { wrapped } = await createWrappedKey(one, 'lamna', 'p1', random);
    await assert.rejects(rewrap([one, two], wrapped, 'p2'), refused('not_authentic'));
    await assert.rejects(rewrap([two], wrapped), refused('tenant_key_unknown'));
  });
});
