import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bundleForBrowser } from './bundle.ts';

/** The verifier that a page needs for SGX and TDX: verdict, policy, collateral, cache. */
const SGX_TDX = `export {
  appraise, INTEL_ROOT, intelCollateralOf, VerificationCache, verifySgxQuote, verifyTdxQuote,
} from '@cloister/attestation';`;
/** The same with SEV-SNP. */
const WITH_SNP = `${SGX_TDX}
export { snpEndorsementsOf, verifySnpReport } from '@cloister/attestation';`;
const KB = 1000;

describe('the verifier in a browser', () => {
  for (const { name, entry, limit } of [
    { name: 'SGX and TDX', entry: SGX_TDX, limit: 30 * KB },
    { name: 'SGX, TDX and SEV-SNP', entry: WITH_SNP, limit: 45 * KB },
  ]) {
    it(`${name}: at most ${limit / KB} kB gzip, without Node and WebAssembly`, async (t) => {
      const { code, bytes, gzipBytes, parts, imports } = await bundleForBrowser(entry);
      const largest = parts
        .slice(0, 5)
        .map(([file, size]) => `${file} ${size}`)
        .join(', ');
      t.diagnostic(`${name}: ${bytes} bytes, ${gzipBytes} gzip; before minifying: ${largest}`);
      assert.deepEqual(imports, []);
      assert.doesNotMatch(code, /\bnode:|\brequire\(|\bWebAssembly\b|\bprocess\.|\bBuffer\b/);
      assert.ok(gzipBytes <= limit, `${gzipBytes} bytes; the largest: ${largest}`);
    });
  }

  it('of SEV-SNP nothing is in it where only Intel is wanted', async () => {
    const { parts } = await bundleForBrowser(
      `export { verifySgxQuote, verifyTdxQuote, INTEL_ROOT } from '@cloister/attestation';`,
    );
    const strangers = parts.filter(([file]) =>
      /\/(snp|azure-hcl|peer|manifest|token)\//.test(file),
    );
    assert.deepEqual(strangers, []);
  });
});
