import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeUtf8, encodeUtf8, parseJsonObject, type JsonObject } from '@cloister/bytes';
import * as fc from 'fast-check';
import { encodeAzureEvidence, parseAzureEvidence } from './azure-evidence.ts';

const PARTS = {
  hclReport: Uint8Array.of(1, 2, 3),
  tpmQuote: {
    message: Uint8Array.of(4),
    signature: Uint8Array.of(5, 6),
    pcrs: [new Uint8Array(32), new Uint8Array(32).fill(1)],
  },
};
const GOOD = encodeAzureEvidence(PARTS);
const refuses = (text: string) => {
  assert.throws(() => parseAzureEvidence(encodeUtf8(text)), { name: 'MalformedError' }, text);
};

describe('evidence of a confidential VM of Azure', () => {
  it('comes back as it was, with a TD quote too', () => {
    assert.deepEqual(parseAzureEvidence(GOOD), PARTS);
    const onTdx = { ...PARTS, tdQuote: Uint8Array.of(7) };
    assert.deepEqual(parseAzureEvidence(encodeAzureEvidence(onTdx)), onTdx);
  });

  it('has one form', () => {
    const text = decodeUtf8(GOOD);
    refuses(` ${text}`);
    refuses(JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).toReversed())));
    refuses(text.replace('"04"', '"04" '));
    refuses(text.replace('"version":1', '"version":1.0'));
  });

  it('is refused where a member is missing, unknown, or of another shape', () => {
    const json = parseJsonObject(decodeUtf8(GOOD));
    const quote = json['tpm_quote'] as JsonObject;
    const change = (changes: JsonObject) => JSON.stringify(sorted({ ...json, ...changes }));
    const inQuote = (changes: JsonObject) =>
      change({ tpm_quote: sorted({ ...quote, ...changes }) });
    for (const name of Object.keys(json)) refuses(JSON.stringify(without(json, name)));
    for (const name of Object.keys(quote)) refuses(change({ tpm_quote: without(quote, name) }));
    refuses(change({ more: 1 }));
    refuses(change({ vcek: 'AQ' }));
    refuses(change({ version: 2 }));
    refuses(change({ hcl_report: 'A' }));
    refuses(change({ hcl_report: 'A'.repeat(40_000) }));
    refuses(change({ td_quote: 1 }));
    refuses(inQuote({ more: 1 }));
    refuses(inQuote({ message: '' }));
    refuses(inQuote({ message: 'A0' }));
    refuses(inQuote({ signature: '0' }));
    refuses(inQuote({ pcrs: [] }));
    refuses(inQuote({ pcrs: ['00'] }));
    refuses(inQuote({ pcrs: Array.from({ length: 25 }, () => '00'.repeat(32)) }));
  });

  it('is refused at every truncation, too long, too deep, and as any bytes', () => {
    for (let length = 0; length < GOOD.length; length++)
      assert.throws(() => parseAzureEvidence(GOOD.subarray(0, length)), { name: 'MalformedError' });
    assert.throws(() => parseAzureEvidence(new Uint8Array(1 << 20)), { code: 'too_large' });
    refuses('['.repeat(1000));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => parseAzureEvidence(bytes), { name: 'MalformedError' });
      }),
    );
  });
});

function sorted(json: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function without(json: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([one]) => one !== name));
}
