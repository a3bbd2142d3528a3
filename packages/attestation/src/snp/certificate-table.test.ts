import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeHex, MalformedError, Writer, type Bytes } from '@cloister/bytes';
import * as fc from 'fast-check';
import { parseSnpCertificateTable } from './certificate-table.ts';

const VCEK = decodeHex('63da758de6644564adc5f4b93be8accd');
/** As hosts with mixed-endian GUIDs write it. */
const VCEK_MIXED = decodeHex('8d75da6364e66445adc5f4b93be8accd');
const VLEK = decodeHex('a8074bc2a25a483eaae639c045a0b8a1');
const ASK = decodeHex('4ab7b379bbac4fe4a02f05aef327c782');
const ARK = decodeHex('c0b406a4a803495297433fb6014cd0ae');
const OTHER = new Uint8Array(16).fill(7);

function tableOf(...entries: readonly (readonly [Bytes, Bytes])[]): Bytes {
  const writer = new Writer();
  let offset = 24 * (entries.length + 1);
  for (const [guid, content] of entries) {
    writer.bytes(guid).u32le(offset).u32le(content.length);
    offset += content.length;
  }
  writer.bytes(new Uint8Array(24));
  for (const [, content] of entries) writer.bytes(content);
  return writer.finish();
}

describe('parseSnpCertificateTable', () => {
  const [a, b, c] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4), Uint8Array.of(5, 6)];

  it('finds the certificates by their GUIDs, in either byte order', () => {
    assert.deepEqual(parseSnpCertificateTable(tableOf([VCEK, a], [ASK, b], [ARK, c])), {
      vcek: a,
      ask: b,
      ark: c,
    });
    assert.deepEqual(parseSnpCertificateTable(tableOf([VCEK_MIXED, a])), { vcek: a });
    assert.deepEqual(parseSnpCertificateTable(tableOf([VLEK, a])), { vlek: a });
  });

  it('passes over entries that it does not know, and padding', () => {
    const padded = new Uint8Array(4096);
    padded.set(tableOf([OTHER, a], [ARK, b]));
    assert.deepEqual(parseSnpCertificateTable(padded), { ark: b });
    assert.deepEqual(parseSnpCertificateTable(new Uint8Array(24)), {});
  });

  it('refuses a kind that is there twice, even in two byte orders', () => {
    const twice = tableOf([VCEK, a], [VCEK_MIXED, b]);
    assert.throws(() => parseSnpCertificateTable(twice), MalformedError);
  });

  it('refuses a table cut short, an offset or a length outside it, and one too large', () => {
    const table = tableOf([VCEK, a], [ASK, b]);
    for (let length = 0; length < table.length; length++) {
      assert.throws(() => parseSnpCertificateTable(table.subarray(0, length)), MalformedError);
    }
    for (const at of [16, 20]) {
      const changed = table.slice();
      changed.set([0xff, 0xff, 0xff, 0xff], at);
      assert.throws(() => parseSnpCertificateTable(changed), MalformedError);
    }
    assert.throws(() => parseSnpCertificateTable(new Uint8Array(1 << 20)), MalformedError);
  });

  it('throws MalformedError and nothing else, whatever it reads', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (input) => {
        try {
          parseSnpCertificateTable(input);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
    );
  });
});
