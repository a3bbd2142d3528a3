import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { MalformedError } from './malformed-error.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

const hasCode = (code: string) => (error: unknown) =>
  error instanceof MalformedError && error.code === code;

describe('Reader and Writer', () => {
  it('agree on every number', () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const u16 = fc.integer({ min: 0, max: 0xffff });
    const u8 = fc.integer({ min: 0, max: 0xff });
    fc.assert(
      fc.property(u8, u16, u16, u32, u32, u64, fc.uint8Array(), (a, b, c, d, e, f, bytes) => {
        const written = new Writer();
        written.u8(a).u16le(b).u16be(c).u32le(d).u32be(e).u64le(f).bytes(bytes);
        const reader = new Reader(written.finish(), 'test');
        assert.deepEqual(
          [
            reader.u8(),
            reader.u16le(),
            reader.u16be(),
            reader.u32le(),
            reader.u32be(),
            reader.u64le(),
          ],
          [a, b, c, d, e, f],
        );
        assert.deepEqual(reader.rest(), new Uint8Array(bytes));
        reader.end();
      }),
    );
  });
});

describe('Reader', () => {
  const bytes = Uint8Array.from({ length: 8 }, (_, i) => i + 1);

  it('reads big-endian and little-endian', () => {
    assert.equal(new Reader(bytes, 't').u16le(), 0x0201);
    assert.equal(new Reader(bytes, 't').u16be(), 0x0102);
    assert.equal(new Reader(bytes, 't').u32le(), 0x04030201);
    assert.equal(new Reader(bytes, 't').u32be(), 0x01020304);
    assert.equal(new Reader(bytes, 't').u64le(), 0x0807060504030201n);
    assert.equal(new Reader(bytes, 't').u64be(), 0x0102030405060708n);
  });

  it('gives views and copies: only the copy does not change with the input', () => {
    const input = Uint8Array.from(bytes);
    const reader = new Reader(input.subarray(1), 't');
    const [view, copy] = [reader.view(2), reader.bytes(2)];
    assert.throws(() => reader.view(4), hasCode('truncated'));
    assert.throws(() => reader.view(-1), hasCode('truncated'));
    input.fill(0);
    assert.deepEqual(view, Uint8Array.of(0, 0));
    assert.deepEqual(copy, Uint8Array.of(4, 5));
    assert.equal(reader.position, 4);
  });

  it('reads a view from its own start, not that of its buffer', () => {
    const reader = new Reader(bytes.subarray(2, 5), 't');
    assert.equal(reader.remaining, 3);
    assert.equal(reader.u16be(), 0x0304);
    assert.equal(reader.position, 2);
    assert.throws(() => reader.u16be(), hasCode('truncated'));
    assert.equal(reader.u8(), 5);
  });

  it('refuses to read past the end, and stays where it was', () => {
    const reader = new Reader(bytes, 'structure');
    reader.bytes(6);
    for (const read of [
      () => reader.u32le(),
      () => reader.u64be(),
      () => reader.bytes(3),
      () => reader.bytes(-1),
      () => reader.bytes(Number.NaN),
      () => reader.bytes(2 ** 53),
    ]) {
      assert.throws(read, hasCode('truncated'));
      assert.equal(reader.position, 6);
    }
    assert.throws(() => reader.u32le(), /truncated in structure at byte 6/);
  });

  it('refuses leftovers', () => {
    const reader = new Reader(bytes, 't');
    assert.throws(() => reader.end(), hasCode('trailing_bytes'));
    reader.rest();
    reader.end();
  });

  it('gives copies', () => {
    const source = bytes.slice();
    const part = new Reader(source, 't').bytes(2);
    source.fill(0);
    assert.deepEqual(part, Uint8Array.of(1, 2));
  });
});

describe('Writer', () => {
  it('refuses numbers out of range', () => {
    const writer = new Writer();
    const bad: (() => unknown)[] = [
      () => writer.u8(256),
      () => writer.u8(-1),
      () => writer.u8(1.5),
      () => writer.u8(Number.NaN),
      () => writer.u16le(0x1_0000),
      () => writer.u16be(0x1_0000),
      () => writer.u32le(2 ** 32),
      () => writer.u32be(-1),
      () => writer.u64le(2n ** 64n),
      () => writer.u64le(-1n),
      () => writer.u32le(Infinity),
    ];
    for (const write of bad) assert.throws(write, RangeError);
    assert.equal(writer.finish().length, 0);
  });

  it('grows, and gives copies', () => {
    const writer = new Writer();
    for (let i = 0; i < 1000; i++) writer.u8(i % 256);
    const first = writer.finish();
    writer.bytes(new Uint8Array(5000)).u8(7);
    assert.equal(first.length, 1000);
    assert.equal(first[999], 999 % 256);
    assert.equal(writer.finish().length, 6001);
    assert.equal(writer.finish().at(-1), 7);
  });
});
