import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { concatBytes, MalformedError, Writer } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { unwrapOpenEnclaveReport } from './open-enclave-report.ts';

const QUOTE = Uint8Array.of(3, 0, 2, 0, 9);
const headerOf = (version: number, type: number, size: bigint) =>
  new Writer().u32le(version).u32le(type).u64le(size).finish();
const wrap = (version: number, type: number, size: bigint) =>
  concatBytes(headerOf(version, type, size), QUOTE);

describe('unwrapOpenEnclaveReport', () => {
  it('gives the quote', () => assert.deepEqual(unwrapOpenEnclaveReport(wrap(1, 2, 5n)), QUOTE));

  it('gives the quote of a genuine report', { skip: sharedMissing }, () => {
    const report = readFileSync(shared('vectors/maa/oe/release.report.bin'));
    const quote = unwrapOpenEnclaveReport(new Uint8Array(report));
    assert.equal(quote.length, report.length - 16);
    assert.deepEqual([...quote.subarray(0, 4)], [3, 0, 2, 0], 'version 3, ECDSA P-256');
  });

  for (const [what, report] of [
    ['another version', wrap(2, 2, 5n)],
    ['a local report', wrap(1, 1, 5n)],
    ['a size beyond the end', wrap(1, 2, 6n)],
    ['a size that leaves bytes behind', wrap(1, 2, 4n)],
    ['a size of 64 bits', wrap(1, 2, 1n << 63n)],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => unwrapOpenEnclaveReport(report), MalformedError);
    });
  }

  it('refuses every shorter prefix', () => {
    const report = wrap(1, 2, 5n);
    for (let length = 0; length < report.length; length++) {
      assert.throws(() => unwrapOpenEnclaveReport(report.subarray(0, length)), MalformedError);
    }
  });
});
