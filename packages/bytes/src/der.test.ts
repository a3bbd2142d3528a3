import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { Bytes } from './bytes.ts';
import { DER, DerReader, encodeDer, encodeDerInteger, encodeDerOid } from './der.ts';
import { decodeHex, encodeHex } from './hex.ts';
import { MalformedError } from './malformed-error.ts';

const open = (hex: string) => new DerReader(decodeHex(hex), 'test');
const hasCode = (code: string) => (error: unknown) =>
  error instanceof MalformedError && error.code === code;
const refuses = (hex: string, read: (reader: DerReader) => unknown, code = 'bad_value') => {
  assert.throws(() => read(open(hex)), hasCode(code), hex);
};

const next = (reader: DerReader) => reader.next();
const long = (head: string, length: number) => `04${head}${'00'.repeat(length)}`;
const nest = (depth: number) => {
  let bytes: Bytes = encodeDer(DER.NULL);
  for (let i = 0; i < depth; i++) bytes = encodeDer(DER.SEQUENCE, bytes);
  return bytes;
};
const dive = (bytes: Bytes) => {
  let reader = new DerReader(bytes, 'test');
  while (reader.peek() === DER.SEQUENCE) reader = reader.enter(DER.SEQUENCE);
};

describe('DerReader.arcBelow', () => {
  const prefix = encodeDerOid('1.2.840.113741').subarray(2);
  const arcOf = (dotted: string) => new DerReader(encodeDerOid(dotted), 'test').arcBelow(prefix);

  it('gives the one arc behind the prefix', () => {
    for (const arc of [0, 1, 18, 127]) assert.equal(arcOf(`1.2.840.113741.${arc}`), arc);
  });

  it('gives nothing for the prefix itself, arcs of two bytes, more arcs, other prefixes', () => {
    for (const other of ['', '.128', '.1.1'])
      assert.equal(arcOf(`1.2.840.113741${other}`), undefined);
    assert.equal(arcOf('1.2.840.113742.1'), undefined);
    assert.equal(arcOf('1.2.841.113741.1'), undefined);
    // An arc that goes on behind the end.
    const reader = new DerReader(Uint8Array.of(6, prefix.length + 1, ...prefix, 0x81), 'test');
    assert.equal(reader.arcBelow(prefix), undefined);
  });

  it('refuses what is no identifier', () => {
    assert.throws(() => open('0201ff').arcBelow(prefix), MalformedError);
  });
});

describe('DerReader.next', () => {
  it('gives tag, contents and the whole encoding, as views', () => {
    const bytes = decodeHex('0403aabbcc0500');
    const reader = new DerReader(bytes, 'test');
    const element = reader.next();
    assert.deepEqual(
      [element.tag, encodeHex(element.value), encodeHex(element.raw)],
      [4, 'aabbcc', '0403aabbcc'],
    );
    assert.equal(element.value.buffer, bytes.buffer);
    assert.equal(reader.peek(), DER.NULL);
    reader.next();
    assert.equal(reader.done, true);
    assert.equal(reader.peek(), undefined);
  });

  it('reads long lengths in their shortest form only', () => {
    assert.equal(next(open(long('7f', 127))).value.length, 127);
    assert.equal(next(open(long('8180', 128))).value.length, 128);
    assert.equal(next(open(long('82012c', 300))).value.length, 300);
    refuses(long('817f', 127), next);
    refuses(long('8100', 0), next);
    refuses(long('820080', 128), next);
    refuses(long('8300012c', 300), next);
  });

  it('refuses indefinite and reserved lengths, lengths of five bytes, long tags', () => {
    refuses('30800000', next);
    refuses('30ff', next);
    refuses('04850000000001aa', next);
    refuses('1f810100', next);
    refuses('bf2000', next);
  });

  it('refuses lengths beyond the end', () => {
    for (const hex of [
      '',
      '04',
      '0401',
      '0482',
      '048201',
      '0402aa',
      '0484ffffffff',
      '04847fffffff00',
    ]) {
      refuses(hex, next, 'truncated');
    }
  });
});

describe('DerReader', () => {
  it('expect and optional look at the tag first', () => {
    const reader = open('0500020101');
    assert.equal(reader.optional(DER.INTEGER), undefined);
    assert.ok(reader.optional(DER.NULL));
    assert.throws(() => reader.expect(DER.NULL), hasCode('bad_value'));
    assert.ok(reader.expect(DER.INTEGER));
    assert.throws(() => reader.expect(DER.INTEGER), hasCode('truncated'));
    assert.equal(reader.optional(DER.INTEGER), undefined);
  });

  it('end refuses what nobody read', () => {
    const reader = open('3003020101');
    assert.throws(() => reader.end(), hasCode('trailing_bytes'));
    const inner = reader.enter(DER.SEQUENCE);
    reader.end();
    assert.throws(() => inner.end(), hasCode('trailing_bytes'));
    inner.smallInteger();
    inner.end();
  });

  it('does not read past its parent', () => {
    const reader = open('3003040500aa0405');
    assert.throws(() => reader.enter(DER.SEQUENCE).next(), hasCode('truncated'));
  });

  it('goes 16 levels deep, not deeper', () => {
    dive(nest(16));
    assert.throws(() => dive(nest(17)), hasCode('too_deep'));
    assert.throws(() => dive(nest(500)), hasCode('too_deep'));
  });

  it('names the structure and the place, not the bytes', () => {
    assert.throws(
      () => new DerReader(decodeHex('0203ffff'), 'QE report').next(),
      /^MalformedError: truncated in QE report at byte 2$/,
    );
  });
});

describe('DerReader.integer', () => {
  it('reads minimal integers', () => {
    for (const hex of ['020100', '02017f', '020180', '02020080', '0202ff7f', '0201ff']) {
      assert.equal(encodeHex(open(hex).integer()), hex.slice(4));
    }
  });

  it('refuses empty and padded ones, and other tags', () => {
    for (const hex of ['0200', '02020000', '0202007f', '0202ff80', '0202ffff']) {
      refuses(hex, (reader) => reader.integer());
    }
    refuses('0a0101', (reader) => reader.integer());
  });

  it('smallInteger refuses negatives and numbers from 2^31', () => {
    assert.equal(open('02047fffffff').smallInteger(), 2 ** 31 - 1);
    assert.equal(open('020200ff').smallInteger(), 255);
    for (const hex of ['0201ff', '02050080000000', '020480000000', '02050100000000']) {
      refuses(hex, (reader) => reader.smallInteger());
    }
  });
});

describe('DerReader.boolean', () => {
  it('reads 00 and FF only', () => {
    assert.equal(open('010100').boolean(), false);
    assert.equal(open('0101ff').boolean(), true);
    for (const hex of ['010101', '0100', '0102ffff', '0101fe'])
      refuses(hex, (reader) => reader.boolean());
  });
});

describe('DerReader.oid', () => {
  it('reads known identifiers', () => {
    const known: [string, string][] = [
      ['06082a8648ce3d040302', '1.2.840.10045.4.3.2'],
      ['060a2a864886f84d010d0101', '1.2.840.113741.1.13.1.1'],
      ['0603550403', '2.5.4.3'],
      ['0603883703', '2.999.3'],
      ['060100', '0.0'],
      ['060127', '0.39'],
      ['060128', '1.0'],
      ['060150', '2.0'],
    ];
    for (const [hex, dotted] of known) {
      assert.equal(open(hex).oid(), dotted);
      assert.equal(encodeHex(encodeDerOid(dotted)), hex);
    }
  });

  it('refuses empty ones, padded and unfinished arcs, arcs beyond 2^53', () => {
    for (const hex of [
      '0600',
      '06022a80',
      '06032a8001',
      '0602802a',
      '060b2affffffffffffffffff7f',
    ]) {
      refuses(hex, (reader) => reader.oid());
    }
  });

  it('reads what encodeDerOid writes', () => {
    const arc = fc.integer({ min: 0, max: 2 ** 40 });
    const tail = fc.array(arc, { maxLength: 6 });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 39 }),
        tail,
        (first, second, arcs) => {
          const dotted = [first, second, ...arcs].join('.');
          assert.equal(new DerReader(encodeDerOid(dotted), 'test').oid(), dotted);
        },
      ),
    );
  });
});

describe('encodeDerOid', () => {
  it('refuses what is no identifier', () => {
    for (const dotted of [
      '',
      '1',
      '1.',
      '3.1',
      '1.40',
      '1.2.x',
      '1.2.-1',
      '1..2',
      '1.2.1e3',
      `1.2.${2 ** 53}`,
    ]) {
      assert.throws(() => encodeDerOid(dotted), RangeError, dotted);
    }
  });
});

describe('DerReader.octetAlignedBits', () => {
  it('refuses unused bits and a missing count', () => {
    assert.equal(encodeHex(open('030300aabb').octetAlignedBits()), 'aabb');
    assert.equal(open('030100').octetAlignedBits().length, 0);
    refuses('030201aa', (reader) => reader.octetAlignedBits());
    refuses('0300', (reader) => reader.octetAlignedBits());
  });
});

describe('encodeDer', () => {
  it('writes what next reads', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
        const { tag, value, raw } = new DerReader(encodeDer(DER.OCTET_STRING, a, b), 'test').next();
        assert.equal(tag, DER.OCTET_STRING);
        assert.equal(encodeHex(value), encodeHex(a) + encodeHex(b));
        assert.equal(raw.length, encodeDer(DER.OCTET_STRING, a, b).length);
      }),
    );
    const large = encodeDer(DER.OCTET_STRING, new Uint8Array(70_000));
    assert.equal(encodeHex(large.subarray(0, 5)), '0483011170');
  });

  it('every element that is read is written the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let element;
        try {
          element = new DerReader(bytes, 'test').next();
        } catch (error) {
          assert.ok(error instanceof MalformedError);
          return;
        }
        assert.equal(encodeHex(encodeDer(element.tag, element.value)), encodeHex(element.raw));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('encodeDerInteger', () => {
  it('drops zeros and adds a sign byte', () => {
    const cases: [string, string][] = [
      ['', '020100'],
      ['00', '020100'],
      ['0000', '020100'],
      ['7f', '02017f'],
      ['80', '02020080'],
      ['0080', '02020080'],
      ['00017f', '0202017f'],
    ];
    for (const [bytes, der] of cases)
      assert.equal(encodeHex(encodeDerInteger(decodeHex(bytes))), der);
  });

  it('is read as a positive minimal integer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const value = new DerReader(encodeDerInteger(bytes), 'test').integer();
        assert.ok((value[0] ?? 0) < 0x80);
        assert.equal(BigInt(`0x${encodeHex(value)}`), BigInt(`0x0${encodeHex(bytes)}`));
      }),
    );
  });
});
