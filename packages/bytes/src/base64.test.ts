import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeBase64, decodeBase64url, encodeBase64, encodeBase64url } from './base64.ts';
import { MalformedError } from './malformed-error.ts';

describe('base64', () => {
  it('is what Node writes, and is read back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const [text, url] = [encodeBase64(bytes), encodeBase64url(bytes)];
        assert.equal(text, Buffer.from(bytes).toString('base64'));
        assert.equal(url, Buffer.from(bytes).toString('base64url'));
        assert.deepEqual(decodeBase64(text), new Uint8Array(bytes));
        assert.deepEqual(decodeBase64url(url), new Uint8Array(bytes));
      }),
    );
  });

  it('is the vectors of RFC 4648, section 10', () => {
    const texts = ['', 'Zg==', 'Zm8=', 'Zm9v', 'Zm9vYg==', 'Zm9vYmE=', 'Zm9vYmFy'];
    for (const [length, text] of texts.entries()) {
      assert.equal(encodeBase64(Buffer.from('foobar').subarray(0, length)), text);
    }
  });

  it('has one text for one byte string', () => {
    const character = fc.constantFrom(...Array.from('ABghwx+/-_='));
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 9 }), (text) => {
        for (const [decode, encode] of [
          [decodeBase64, encodeBase64],
          [decodeBase64url, encodeBase64url],
        ] as const) {
          let bytes;
          try {
            bytes = decode(text);
          } catch (error) {
            assert.ok(error instanceof MalformedError);
            continue;
          }
          assert.equal(encode(bytes), text);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('refuses missing, needless and misplaced padding', () => {
    for (const text of [
      'Zg',
      'Zg=',
      'Zm9v=',
      'Zm9v====',
      '=',
      '==',
      '====',
      'A===',
      'Zg==Zg==',
      'Z=g=',
    ]) {
      assert.throws(() => decodeBase64(text), MalformedError, text);
    }
    for (const text of ['Zg==', 'Z', 'Zm9vY']) {
      assert.throws(() => decodeBase64url(text), MalformedError, text);
    }
  });

  it('refuses bits left over, white space, the other alphabet, characters beyond ASCII', () => {
    for (const text of [
      'Zh==',
      'Zm9=',
      'Zm9v\n',
      ' Zm9',
      'Zm 9',
      '-_-_',
      'Zm9\u0176',
      'Zm9\u00e9',
    ]) {
      assert.throws(() => decodeBase64(text), MalformedError, text);
    }
    for (const text of ['Zh', 'Zm9\n', '+/+/', 'Zm9\u0176']) {
      assert.throws(() => decodeBase64url(text), MalformedError, text);
    }
  });
});
