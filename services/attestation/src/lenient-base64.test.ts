import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assert as check, property, uint8Array } from 'fast-check';
import { encodeBase64, encodeBase64url } from '@cloister/bytes';
import { AzureError } from './azure-error.ts';
import { decodeLenientBase64 } from './lenient-base64.ts';

describe('decodeLenientBase64', () => {
  it('reads every spelling of any bytes', () => {
    check(
      property(uint8Array({ maxLength: 100 }), (given) => {
        const bytes = new Uint8Array(given);
        const url = encodeBase64url(bytes);
        const standard = encodeBase64(bytes);
        const padded = standard.replaceAll('+', '-').replaceAll('/', '_');
        for (const text of [url, standard, padded, standard.replace(/=+$/, '')])
          assert.deepEqual(new Uint8Array(decodeLenientBase64(text, 'x')), bytes, text);
      }),
    );
  });

  it('refuses every other character, and says which', () => {
    for (const [text, message] of [
      ['AA A', /^Unknown base64 character: 32 \(' '\)$/],
      ['AA\nA', /character: 10/],
      ['A=AA', /character: 61 \('='\)/],
      ['AAAA===', /character: 61/],
      ['AAé', /character: 233 \('é'\)/],
      ['AA😀A', /character: 128512 \('😀'\)/],
      ['%', /character: 37/],
    ] as const)
      assert.throws(() => decodeLenientBase64(text, 'x'), { code: 'InvalidOperation', message });
  });

  it('refuses what no bytes are written as', () => {
    for (const text of ['A', 'AAAAA', 'AB', 'AAB', 'A-', '__', 'AA_', '//', 'AA/'])
      assert.throws(() => decodeLenientBase64(text, 'member'), /^AzureError: member: not base64$/);
    for (const text of ['AA', 'AQ', '_w', 'AAA', '__8']) decodeLenientBase64(text, 'x');
  });

  it('finds the trailing bits of each alphabet', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_';
    for (const [i, letter] of alphabet.split('').entries()) {
      const value = i < 64 ? i : i - 2;
      for (const [head, mask] of [
        ['A', 15],
        ['AA', 3],
      ] as const) {
        const good = (value & mask) === 0;
        const read = () => decodeLenientBase64(head + letter, 'x');
        if (good) assert.doesNotThrow(read, head + letter);
        else assert.throws(read, AzureError, head + letter);
      }
    }
  });
});
