import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { MalformedError } from './malformed-error.ts';
import { decodePem, encodePem } from './pem.ts';

const block = encodePem('CERTIFICATE', Uint8Array.of(1, 2, 3));

describe('encodePem', () => {
  it('breaks lines at 64 columns', () => {
    const lines = encodePem('X', new Uint8Array(100)).split('\n');
    assert.equal(lines[0], '-----BEGIN X-----');
    assert.deepEqual(
      lines.slice(1, -2).map(({ length }) => length),
      [64, 64, 8],
    );
    assert.deepEqual(lines.slice(-2), ['-----END X-----', '']);
  });
});

describe('decodePem', () => {
  it('reads what encodePem writes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { maxLength: 4 }), (blocks) => {
        const text = blocks.map((bytes) => encodePem('X', bytes)).join('');
        assert.deepEqual(
          decodePem(text, 'X'),
          blocks.map((bytes) => new Uint8Array(bytes)),
        );
      }),
    );
  });

  it('reads CRLF, long lines, no line breaks, and NULs behind', () => {
    for (const text of [
      block.replaceAll('\n', '\r\n'),
      '-----BEGIN CERTIFICATE-----AQID-----END CERTIFICATE-----',
      `\n${block}\0\0\n`,
    ]) {
      assert.deepEqual(decodePem(text, 'CERTIFICATE'), [Uint8Array.of(1, 2, 3)]);
    }
    assert.deepEqual(decodePem('', 'CERTIFICATE'), []);
  });

  it('refuses other labels, text around blocks, unfinished blocks, bad base64', () => {
    for (const text of [
      encodePem('PRIVATE KEY', Uint8Array.of(1)),
      `x${block}`,
      `${block}x`,
      `${block}x${block}`,
      block.slice(0, 40),
      block.replace('-----END CERTIFICATE-----', ''),
      block.replace('END', 'END '),
      block.replace('AQID', 'AQ*D'),
      block.replace('AQID', 'AQI'),
      block.replace('AQID', 'AQID\0'),
      block.replace('AQID', `AQID\n${block}`),
    ]) {
      assert.throws(() => decodePem(text, 'CERTIFICATE'), MalformedError, text);
    }
  });
});
