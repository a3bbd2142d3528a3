import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import { encodeHex } from './hex.ts';
import {
  canonicalJson,
  isJsonObject,
  parseJson,
  parseJsonObject,
  sliceJsonMember,
  type JsonValue,
} from './json.ts';
import { MalformedError } from './malformed-error.ts';
import { encodeUtf8 } from './text.ts';

interface Vectors {
  pairs: { name: string; input: string; output: string; outputHex: string }[];
  numbers: [string, string][];
  mustReject: { what: string; ieee754?: string; json?: string }[];
}

const doubleOf = (hex: string) => Buffer.from(hex.padStart(16, '0'), 'hex').readDoubleBE();

const hasCode = (code: string) => (error: unknown) =>
  error instanceof MalformedError && error.code === code;

const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('canonicalJson: vectors of RFC 8785', { skip: sharedMissing }, () => {
  const { pairs, numbers, mustReject } = sharedMissing
    ? { pairs: [], numbers: [], mustReject: [] }
    : (JSON.parse(readFileSync(shared('vectors/protocol/jcs-rfc8785.json'), 'utf8')) as Vectors);

  for (const { name, input, output, outputHex } of pairs) {
    it(name, () => {
      const text = canonicalJson(parseJson(input));
      assert.equal(text, output);
      assert.equal(encodeHex(encodeUtf8(text)), outputHex);
      assert.equal(canonicalJson(parseJson(text)), text);
    });
  }

  it('numbers', () => {
    assert.equal(numbers.length, 1000);
    for (const [hex, text] of numbers) assert.equal(canonicalJson(doubleOf(hex)), text, hex);
  });

  for (const { what, ieee754, json } of mustReject) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => canonicalJson(json === undefined ? doubleOf(ieee754 ?? '') : parseJson(json)),
        MalformedError,
      );
    });
  }
});

describe('canonicalJson', () => {
  it('is one text for one value, whatever the order of its members', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value);
        const canonical = canonicalJson(JSON.parse(text) as JsonValue);
        assert.deepEqual(JSON.parse(canonical), JSON.parse(text));
        const shuffled = JSON.parse(text, (_, member: unknown) =>
          isJsonObject(member) ? Object.fromEntries(Object.entries(member).toReversed()) : member,
        ) as JsonValue;
        assert.equal(canonicalJson(shuffled), canonical);
      }),
    );
  });

  it('sorts by UTF-16 code units and keeps __proto__ an ordinary name', () => {
    assert.equal(
      canonicalJson({ '\u{1f600}': 1, '\ufb33': 2, a: 3 }),
      '{"a":3,"\u{1f600}":1,"\ufb33":2}',
    );
    const tricky = '{"__proto__":{"x":1},"constructor":2}';
    assert.equal(canonicalJson(parseJson(tricky)), tricky);
    assert.equal(isJsonObject(parseJson(tricky)) && 'x' in Object(parseJson(tricky)), false);
  });

  it('writes minus zero as zero', () => {
    assert.equal(canonicalJson([-0, 1e21, 1e-7]), '[0,1e+21,1e-7]');
  });
});

describe('parseJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.nat(3), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), undefined, indent);
        assert.deepEqual(parseJson(spaced), JSON.parse(spaced));
      }),
    );
  });

  it('refuses what JSON.parse refuses, and throws nothing but MalformedError', () => {
    const alphabet = fc.constantFrom(
      ...Array.from('{}[]",:\\ \n0123456789.eE+-truefalsn\u0000\u007f'),
      'null',
      '"a"',
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 14 }), (parts) => {
        const text = parts.join('');
        let expected: unknown;
        let valid = true;
        try {
          expected = JSON.parse(text);
        } catch {
          valid = false;
        }
        try {
          assert.deepEqual(parseJson(text), expected);
          assert.ok(valid, text);
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });

  const refused: [string, string, string][] = [
    ['nothing', '', 'truncated'],
    ['white space', ' \n', 'truncated'],
    ['an unfinished object', '{"a":1', 'truncated'],
    ['an unfinished name', '{"a', 'truncated'],
    ['an unfinished array', '[1,', 'truncated'],
    ['text behind', '{} x', 'bad_value'],
    ['two values', '1 2', 'bad_value'],
    ['a name twice', '{"a":1,"a":1}', 'bad_value'],
    ['a name twice, once escaped', '{"a":1,"\\u0061":1}', 'bad_value'],
    ['a name twice, deep inside', '[{"b":{"a":1,"c":2,"a":1}}]', 'bad_value'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}', 'bad_value'],
    ['a comma too many', '[1,]', 'bad_value'],
    ['a comma too many in an object', '{"a":1,}', 'bad_value'],
    ['a name without quotes', '{a:1}', 'bad_value'],
    ['no colon', '{"a" 1}', 'bad_value'],
    ['single quotes', "'a'", 'bad_value'],
    ['a comment', '1 // x', 'bad_value'],
    ['NaN', 'NaN', 'bad_value'],
    ['minus infinity', '-Infinity', 'bad_value'],
    ['a number too large', '[1e400]', 'bad_value'],
    ['a number with a leading zero', '01', 'bad_value'],
    ['hexadecimal', '0x10', 'bad_value'],
    ['a control character', '"\u0001"', 'bad_value'],
    ['a bad escape', '"\\x"', 'bad_value'],
    ['a bad escape in a name', '{"\\x":1}', 'bad_value'],
    ['a byte order mark', '\ufeff{}', 'bad_value'],
    ['a no-break space', '\u00a01', 'bad_value'],
  ];
  for (const [what, text, code] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseJson(text), hasCode(code));
    });
  }

  it('bounds depth and length', () => {
    assert.ok(parseJson(nest(64)));
    assert.throws(() => parseJson(nest(66)), hasCode('too_deep'));
    assert.throws(() => parseJson('{"a":'.repeat(100_000)), hasCode('too_deep'));
    assert.throws(() => parseJson(nest(5), 'JSON', { maxDepth: 3 }), hasCode('too_deep'));
    assert.throws(() => parseJson('"abc"', 'JSON', { maxLength: 4 }), hasCode('too_large'));
  });

  it('takes time in proportion to the text', () => {
    const started = performance.now();
    const members = Array.from({ length: 50_000 }, (_, i) => `"${i}":"\\\\\\""`).join(',');
    assert.ok(parseJson(`{${members}}`));
    assert.ok(performance.now() - started < 5000);
  });

  it('quotes no input in its errors', () => {
    const secret = 'Jane Roe';
    for (const text of [
      `{"name": "${secret}" x}`,
      `["${secret}", tru]`,
      `{"${secret}":1,"${secret}":2}`,
      `"${secret}\u0001"`,
    ]) {
      assert.throws(
        () => parseJson(text, 'a record'),
        (error) => {
          assert.ok(error instanceof MalformedError);
          assert.equal(
            `${error.message}${error.where}${String(error.cause)}`.includes('Jane'),
            false,
          );
          return true;
        },
      );
    }
  });
});

describe('parseJsonObject', () => {
  it('refuses all but objects', () => {
    assert.deepEqual(parseJsonObject(' {"a": 1} '), { a: 1 });
    for (const text of ['[]', 'null', '1', '"{}"']) {
      assert.throws(() => parseJsonObject(text), hasCode('bad_value'));
    }
  });
});

describe('sliceJsonMember', () => {
  it('gives the text of a member as it stands', () => {
    const text = '{ "a" : { "x" : 1.0 , "y":[ ] } , "signature":"ab","b": -0 \n}';
    assert.equal(sliceJsonMember(text, 'a'), '{ "x" : 1.0 , "y":[ ] }');
    assert.equal(sliceJsonMember(text, 'signature'), '"ab"');
    assert.equal(sliceJsonMember(text, 'b'), '-0');
  });

  it('finds a member whose name is escaped, and none inside another', () => {
    assert.equal(sliceJsonMember('{"\\u0061":[1]}', 'a'), '[1]');
    assert.throws(() => sliceJsonMember('{"b":{"a":1}}', 'a'), hasCode('bad_value'));
    assert.throws(() => sliceJsonMember('{"b":"\\"a\\":1"}', 'a'), hasCode('bad_value'));
  });

  it('refuses a member twice, and what is no object', () => {
    assert.throws(() => sliceJsonMember('{"a":1,"a":2}', 'a'), hasCode('bad_value'));
    assert.throws(() => sliceJsonMember('[{"a":1}]', 'a'), hasCode('bad_value'));
  });

  it('gives a text that parses to the member', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1, maxKeys: 5 }),
        fc.nat(2),
        (object, indent) => {
          const text = JSON.stringify(object, undefined, indent);
          const parsed = parseJsonObject(text);
          for (const name of Object.keys(parsed)) {
            assert.deepEqual(parseJson(sliceJsonMember(text, name)), parsed[name]);
          }
        },
      ),
    );
  });
});
