import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, MalformedError, Writer } from '@cloister/bytes';
import { forge, judge, pckChain, type Kind } from './forge.test.ts';
import { parseQuote } from './quote.ts';

/** A good quote of this kind with one byte set. */
async function parseWith(kind: Kind, offset: number, value: number): Promise<unknown> {
  const { quote } = await forge(kind);
  quote[offset] = value;
  return parseQuote(quote);
}

describe('parseQuote', () => {
  it('reads every kind', async () => {
    const kinds = ['sgx3', 'sgx4', 'sgx5', 'tdx4', 'tdx5-10', 'tdx5-15', 'tdx5-15x'] as const;
    for (const kind of kinds) {
      const { quote } = await forge(kind);
      const { version, tee, trailingBytes, certificationData } = parseQuote(quote);
      assert.deepEqual([tee, String(version)], [kind.slice(0, 3), kind.charAt(3)]);
      assert.equal(trailingBytes, 0);
      assert.equal(certificationData.type, 5);
    }
  });

  const refusals: readonly [string, Kind, number, number][] = [
    ['version 2, like 3 in all else', 'sgx3', 0, 2],
    ['version 6, like 5 in all else', 'sgx5', 0, 6],
    ['an ECDSA-384 key', 'sgx3', 2, 3],
    ['an unknown TEE', 'sgx3', 4, 1],
    ['another QE vendor', 'sgx3', 27, 0],
    ['a TD in version 3', 'sgx3', 4, 0x81],
    ['an SGX body of a TD', 'sgx5', 4, 0x81],
    ['a TD body of SGX', 'tdx5-10', 4, 0],
    ['body type 0', 'tdx5-15', 48, 0],
    ['body type 5', 'tdx5-15', 48, 5],
    ['a body size that is not its type’s', 'tdx5-15', 50, 0x89],
    ['outer certification data of another type', 'tdx4', 632 + 4 + 128, 5],
  ];
  for (const [what, kind, offset, value] of refusals) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(parseWith(kind, offset, value), MalformedError);
    });
  }

  it('refuses a TD in version 3, laid out as version 3 is', async () => {
    const { quote } = await forge('tdx4');
    const auth = concatBytes(quote.subarray(636, 764), quote.subarray(770));
    const asVersion3 = new Writer()
      .u16le(3)
      .bytes(quote.subarray(2, 632))
      .u32le(auth.length)
      .bytes(auth)
      .finish();
    assert.throws(() => parseQuote(asVersion3), { where: /at byte 48/ });
  });

  it('refuses PPID certification data of another length', async () => {
    for (const length of [0, 403, 405]) {
      const certificationData = { type: 1, data: new Uint8Array(length) };
      const collateral = { pckChain: pckChain() };
      assert.equal(await judge('sgx3', { certificationData, collateral }), 'quote.format');
    }
  });

  it('counts trailing bytes', async () => {
    const { quote } = await forge('tdx4');
    assert.equal(parseQuote(concatBytes(quote, new Uint8Array(8000))).trailingBytes, 8000);
  });
});

describe('an attestation key off the curve', () => {
  it('is refused though the QE report names it', async () => {
    const attestationPoint = new Uint8Array(64).fill(1);
    assert.equal(await judge('sgx3', { attestationPoint }), 'quote.signature');
  });
});
