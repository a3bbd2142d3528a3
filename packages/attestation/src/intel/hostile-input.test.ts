import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8, MalformedError } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import * as fc from 'fast-check';
import { parseEnclaveReport } from './enclave-report.ts';
import { certificates, chainOf, forge, pckChain, verify, type Kind } from './forge.test.ts';
import { parsePckExtension, SGX_EXTENSION_OID } from './pck-extension.ts';
import { parseQeIdentity } from './qe-identity.ts';
import { parseQuote } from './quote.ts';
import { parseTcbInfo } from './tcb-info.ts';
import { VerificationCache } from './verification-cache.ts';

/** Runs it; says whether it refused in the one way that is allowed. */
function refuses(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
    return true;
  }
}

const KINDS: readonly Kind[] = ['sgx3', 'tdx4', 'tdx5-15'];

describe('parseQuote', () => {
  for (const kind of KINDS) {
    it(`refuses every shorter prefix of a ${kind} quote`, async () => {
      const { quote } = await forge(kind);
      for (let length = 0; length < quote.length; length++) {
        assert.ok(
          refuses(() => parseQuote(quote.subarray(0, length))),
          `${length} bytes`,
        );
      }
      assert.ok(!refuses(() => parseQuote(quote)));
    });
  }

  it('refuses random bytes, and random bytes behind a good header', async () => {
    const { quote } = await forge('tdx5-15');
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.integer({ min: 0, max: 60 }),
        (bytes, keep) => {
          const spoilt = Uint8Array.from([...quote.subarray(0, keep), ...bytes]);
          assert.ok(refuses(() => parseQuote(spoilt)));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a quote with one bit changed', () => {
  for (const kind of KINDS) {
    it(`is refused wherever a signature reaches in ${kind}`, async () => {
      const { quote, options } = await forge(kind);
      const cache = new VerificationCache();
      assert.ok((await verify(kind, { quote, options }, { cache })).ok);
      // All up to the PCK chain: header, body, signatures, keys, QE report, lengths and types.
      const end = quote.length - encodeUtf8(pckChain()).length;
      for (let i = 0; i < end; i++) {
        const spoilt = quote.slice();
        spoilt[i] = (spoilt[i] ?? 0) ^ (1 << (i % 8));
        const result = await verify(kind, { quote: spoilt, options }, { cache });
        assert.ok(!result.ok, `byte ${i}`);
      }
    });
  }

  it('is refused in the certificates of PCK and PCK CA', async () => {
    const { options } = await forge('sgx3');
    const cache = new VerificationCache();
    for (const [at, original] of [certificates.pck, certificates.platformCa].entries()) {
      for (let i = 0; i < original.length; i += 3) {
        const spoilt = original.slice();
        spoilt[i] = (spoilt[i] ?? 0) ^ (1 << (i % 8));
        const chain = [certificates.pck, certificates.platformCa, certificates.root];
        const { quote } = await forge('sgx3', chainOf(...chain.with(at, spoilt)));
        const result = await verify('sgx3', { quote, options }, { cache });
        assert.ok(!result.ok, `certificate ${at}, byte ${i}`);
      }
    }
  });
});

describe('verifySgxQuote', () => {
  it('answers random bytes and random collateral with a refusal', async () => {
    const { quote, options } = await forge('sgx3');
    const text = fc.oneof(fc.string(), fc.json());
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 1500 }),
        text,
        fc.constantFrom('tcbInfo', 'qeIdentity', 'tcbInfoChain', 'qeIdentityChain'),
        async (bytes, value, member) => {
          const collateral = { ...options.collateral, [member]: value };
          const first = await verify('sgx3', { quote: new Uint8Array(bytes), options });
          const second = await verify('sgx3', { quote, options: { ...options, collateral } });
          const pckCrl = new Uint8Array(bytes);
          const third = await verify('sgx3', {
            quote,
            options: { ...options, collateral: { ...options.collateral, pckCrl } },
          });
          assert.ok(!first.ok && !second.ok && !third.ok);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('parsePckExtension', () => {
  const der = parseCertificate(certificates.pck).extensions.get(SGX_EXTENSION_OID)?.value;
  assert.ok(der !== undefined);

  it('reads the platform', () => {
    const { pceSvn, components, sgxType, configuration } = parsePckExtension(der);
    assert.equal(pceSvn, 11);
    assert.equal(components.length, 16);
    assert.equal(sgxType, 'scalable');
    assert.deepEqual(configuration, { dynamicPlatform: true, cachedKeys: false, smtEnabled: true });
  });
  it('refuses every shorter prefix and trailing bytes', () => {
    for (let length = 0; length < der.length; length++) {
      assert.ok(refuses(() => parsePckExtension(der.subarray(0, length))));
    }
    assert.ok(refuses(() => parsePckExtension(Uint8Array.from([...der, 0]))));
  });
  it('reads or refuses any bit flip, and throws nothing else', () => {
    for (let bit = 0; bit < der.length * 8; bit++) {
      const spoilt = der.slice();
      spoilt[bit >> 3] = (spoilt[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      refuses(() => parsePckExtension(spoilt));
    }
  });
});

describe('parseEnclaveReport', () => {
  it('takes 384 bytes and nothing else', () => {
    for (const length of [0, 383, 385]) {
      assert.ok(refuses(() => parseEnclaveReport(new Uint8Array(length))));
    }
    assert.ok(!refuses(() => parseEnclaveReport(new Uint8Array(384))));
  });
});

describe('parseTcbInfo and parseQeIdentity', () => {
  it('refuse any member of another type, and throw nothing else', async () => {
    const { options } = await forge('tdx4');
    const { tcbInfo, qeIdentity } = options.collateral;
    const documents = [
      {
        text: tcbInfo.slice('{"tcbInfo":'.length, tcbInfo.lastIndexOf(',"sig')),
        parse: parseTcbInfo,
      },
      {
        text: qeIdentity.slice('{"enclaveIdentity":'.length, qeIdentity.lastIndexOf(',"sig')),
        parse: parseQeIdentity,
      },
    ];
    for (const { text, parse } of documents) {
      assert.ok(!refuses(() => parse(text)));
      for (const member of Object.keys(JSON.parse(text) as object)) {
        for (const value of [null, true, -1, 1.5, 1e99, 'x', [], {}, [[]], [null]]) {
          const spoilt = JSON.stringify({ ...(JSON.parse(text) as object), [member]: value });
          assert.ok(refuses(() => parse(spoilt)) || member === 'id', `${member}: ${spoilt}`);
        }
      }
    }
  });
  it('refuse deep nesting', () => {
    assert.ok(refuses(() => parseTcbInfo('['.repeat(100_000))));
    assert.ok(refuses(() => parseQeIdentity(`{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`)));
  });
});
