import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assert as assertProperty, json, property, string, uint8Array } from 'fast-check';
import {
  canonicalJson,
  decodeBase64,
  decodeBase64url,
  decodeHex,
  encodeUtf8,
  MalformedError,
  parseJson,
} from '@cloister/bytes';
import { FuzzRandom } from '../fuzz/random.ts';
import { mutate } from '../fuzz/mutate.ts';

const TRIES = 20_000;
const SEED = 20_261_124;
const TEXTS = [
  '{"a":[1,-0,1.5e3,true,null,"\\u00e9\\ud83d\\ude00"],"b":{"c":""}}',
  '[[],{},"",0,[[[[]]]]]',
  '{"tcbInfo":{"id":"SGX","tcbLevels":[{"svn":1}]},"signature":"00ff"}',
];

function attempt<T>(read: () => T): { readonly value: T } | undefined {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof MalformedError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What our parser reads, the engine's reads alike; it may read less, never more. */
function compareJson(text: string): boolean {
  const ours = attempt(() => parseJson(text));
  if (ours === undefined) return false;
  const theirs = attempt((): unknown => JSON.parse(text));
  assert.deepEqual(ours.value, theirs?.value, text);
  return true;
}

describe('against the engine', () => {
  it('JSON that we read, JSON.parse reads alike', () => {
    const random = new FuzzRandom(SEED);
    const corpus = TEXTS.map(encodeUtf8);
    const context = {
      corpus,
      words: ['"', '\\', ',', '{}', '[', ']', 'e9', '\u2028'].map(encodeUtf8),
    };
    let read = 0;
    for (let i = 0; i < TRIES; i++) {
      const bytes = mutate(random.pick(corpus), random, { ...context, maxLength: 512 });
      if (compareJson(new TextDecoder().decode(bytes))) read += 1;
    }
    assert.ok(read > 500, `${read} read`);
    assertProperty(property(json(), (text) => assert.ok(compareJson(text))));
  });

  it('canonical JSON says the same as the text', () => {
    assertProperty(
      property(json(), (text) => {
        const parsed = attempt(() => parseJson(text));
        if (parsed === undefined) return;
        const canonical = attempt(() => canonicalJson(parsed.value));
        // Lone surrogates have no canonical form.
        if (canonical === undefined) return;
        // A zero has one text, whatever its sign (RFC 8785, section 3.2.2.3).
        assert.deepEqual(JSON.parse(canonical.value), JSON.parse(JSON.stringify(JSON.parse(text))));
      }),
    );
  });

  it('base64 and hex that we read, Buffer reads alike', () => {
    const decoders = [
      ['base64', decodeBase64],
      ['base64url', decodeBase64url],
      ['hex', decodeHex],
    ] as const;
    for (const [encoding, decode] of decoders) {
      assertProperty(
        property(uint8Array({ maxLength: 200 }), (bytes) => {
          const text = Buffer.from(bytes).toString(encoding);
          assert.deepEqual(Buffer.from(decode(text)), Buffer.from(bytes));
        }),
      );
      assertProperty(
        property(string({ unit: 'binary-ascii', maxLength: 40 }), (text) => {
          const ours = attempt(() => decode(text));
          if (ours === undefined) return;
          assert.deepEqual(Buffer.from(ours.value), Buffer.from(text, encoding));
          // One text only: what was read is written the same, but for the case of hex.
          const again = Buffer.from(ours.value).toString(encoding);
          assert.equal(again, encoding === 'hex' ? text.toLowerCase() : text);
        }),
      );
    }
  });
});
