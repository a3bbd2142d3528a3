import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseJson, type JsonValue } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { parseIssuerKeys } from './parse-issuer-keys.ts';

const RSA = { kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'a/b+c=' };

describe('parseIssuerKeys', () => {
  it('keeps public members and nothing else', () => {
    const ec = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', use: 'sig' };
    const keys = parseIssuerKeys({
      keys: [{ ...RSA, d: 'secret', key_ops: ['sign'] }, ec],
      more: 1,
    });
    assert.deepEqual(keys, [RSA, ec]);
  });

  it('leaves out keys of other kinds, and certificates that cannot be read', () => {
    const keys: JsonValue[] = [
      { kty: 'oct', k: 'AA' },
      { kty: 'RSA' },
      { kty: 'RSA', x5c: ['MII'] },
      { kty: 'RSA', x5c: [] },
    ];
    assert.deepEqual(parseIssuerKeys({ keys }), []);
  });

  it('refuses what is no JWKS', () => {
    for (const value of [null, [], {}, { keys: {} }, { keys: [1] }, { keys: [{ kty: 1 }] }])
      assert.throws(() => parseIssuerKeys(value), { name: 'MalformedError' });
    const many = Array.from({ length: 65 }, () => RSA);
    assert.throws(() => parseIssuerKeys({ keys: many }), { name: 'MalformedError' });
  });

  it('takes keys out of recorded certificates', { skip: sharedMissing }, () => {
    for (const name of ['shared', 'aad', 'isolated']) {
      const text = readFileSync(shared(`vectors/maa/tokens/certs-${name}.json`), 'utf8');
      const keys = parseIssuerKeys(parseJson(text));
      assert.equal(keys.length, 3);
      for (const { kty, n, e, kid } of keys) {
        assert.deepEqual([kty, e], ['RSA', 'AQAB']);
        assert.ok(n !== undefined && kid !== undefined);
      }
    }
  });
});
