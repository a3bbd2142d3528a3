import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { claimsOfToken, intelEntry } from '@cloister/attestation';
import { encodeBase64, encodePem, encodeUtf8, type Bytes } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import { errorOf, payloadOf, tokenOf } from './answers.test.ts';
import { createApp } from './app.ts';
import { createCollateralStore } from './collateral/collateral-store.ts';
import { b64, makeDeps, post, sharedBytes } from './fixture.test.ts';

const SNP = '/attest/SevSnpVm?api-version=2022-08-01';
const TDX = '/attest/TdxVm?api-version=2025-06-01';
interface Entry {
  readonly id: string;
  readonly files: Readonly<Record<string, string>>;
  readonly validAt: number;
}

const text = (path: string): string => readFileSync(shared(`vectors/${path}`), 'utf8');

describe('attesting SEV-SNP guests', { skip: sharedMissing }, async () => {
  if (sharedMissing !== false) return;
  const { deps } = await makeDeps({ now: () => new Date('2025-04-15T00:00:00Z') });
  const app = createApp(deps);
  const report = sharedBytes('maa/snp/maa-sample.snpreport.bin');
  const chain = text('maa/snp/maa-sample.vcek-chain.pem');
  const evidence = (changes: Record<string, unknown> = {}): string =>
    b64(
      encodeUtf8(
        ` ${JSON.stringify({ SnpReport: b64(report), VcekCertChain: b64(encodeUtf8(chain)), ...changes })} \n`,
      ),
    );
  const real = payloadOf(text('maa/certs/sev-snp-maa-token.jwt').trim());

  it('gives the claims of the token that Azure Attestation made of the same report', async () => {
    for (const body of [evidence(), text('maa/snp/maa-sample.request.report.txt').trim()]) {
      const payload = payloadOf(await tokenOf(await app.request(SNP, post({ report: body }))));
      const varying = ['exp', 'iat', 'iss', 'jti', 'nbf', 'x-ms-policy-hash'];
      for (const [name, value] of Object.entries(real))
        if (!varying.includes(name)) assert.deepEqual(payload[name], value, name);
      assert.deepEqual(
        Object.keys(payload).toSorted(),
        Object.keys(real).toSorted(),
        'the same claims',
      );
    }
  });

  it('answers paths that real sidecars write, on any version', async () => {
    for (const path of ['/attest/SevSnpVM', '/attest/sevsnpvm'])
      await tokenOf(
        await app.request(`${path}?api-version=2020-10-01`, post({ report: evidence() })),
      );
  });

  it('takes the certificates in any order, and padded base64', async () => {
    const blocks = chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n?/g) ?? [];
    const turned = encodeUtf8(blocks.toReversed().join(''));
    const SnpReport = encodeBase64(report);
    await tokenOf(
      await app.request(
        SNP,
        post({ report: evidence({ SnpReport, VcekCertChain: encodeBase64(turned) }) }),
      ),
    );
  });

  it('gives tokens that our relying party reads', async () => {
    const payload = payloadOf(await tokenOf(await app.request(SNP, post({ report: evidence() }))));
    const claims = claimsOfToken(payload);
    assert.equal(claims.tee, 'snp');
  });

  const changed = (offset: number): Bytes => {
    const copy = report.slice();
    copy[offset] = (copy[offset] ?? 0) ^ 1;
    return copy;
  };
  const refused: Readonly<Record<string, [string, string, RegExp]>> = {
    'evidence that is no JSON': [b64(encodeUtf8('x')), 'InvalidParameter', /snp\.format/],
    'no report': [evidence({ SnpReport: undefined }), 'InvalidParameter', /SnpReport required/],
    'no certificates': [
      evidence({ VcekCertChain: undefined }),
      'InvalidParameter',
      /VcekCertChain required/,
    ],
    'certificates that are none': [
      evidence({ VcekCertChain: b64(encodeUtf8(encodePem('CERTIFICATE', Uint8Array.of(1)))) }),
      'InvalidParameter',
      /snp\.format/,
    ],
    'a report cut short': [
      evidence({ SnpReport: b64(report.subarray(0, 1000)) }),
      'InvalidParameter',
      /snp\.format/,
    ],
    'a changed measurement': [
      evidence({ SnpReport: b64(changed(0x90)) }),
      'InvalidParameter',
      /snp\.signature/,
    ],
  };
  for (const [what, [body, code, message]] of Object.entries(refused))
    it(`refuses ${what}`, async () => {
      const error = await errorOf(await app.request(SNP, post({ report: body })));
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });

  it('refuses runtime data and init-time data that the report does not vouch for', async () => {
    for (const member of ['runtimeData', 'initTimeData']) {
      const data = { data: b64(encodeUtf8('{}')), dataType: 'JSON' };
      const answer = await app.request(SNP, post({ report: evidence(), [member]: data }));
      assert.match((await errorOf(answer)).message, new RegExp(`${member} does not match`));
    }
  });
});

describe('attesting TDX guests', { skip: sharedMissing }, async () => {
  if (sharedMissing !== false) return;
  const { vectors } = JSON.parse(text('EVIDENCE-MANIFEST.json')) as { vectors: Entry[] };
  const entry = vectors.find(({ id }) => id.startsWith('tdx4-phala-tdx-quote-f1c850')) as Entry;
  const at = new Date(entry.validAt * 1000);
  const collateral = createCollateralStore({
    entries: [
      intelEntry({
        tcbInfo: text(entry.files['tcbInfo'] ?? ''),
        tcbInfoChain: text(entry.files['tcbInfoChain'] ?? ''),
        qeIdentity: text(entry.files['qeIdentity'] ?? ''),
        qeIdentityChain: text(entry.files['qeIdentityChain'] ?? ''),
        pckCrl: sharedBytes(entry.files['pckCrl'] ?? ''),
        rootCaCrl: sharedBytes(entry.files['rootCaCrl'] ?? ''),
      }),
    ],
  });
  const { deps } = await makeDeps({ now: () => at, collateral });
  const app = createApp(deps);
  const quote = sharedBytes(entry.files['evidence'] ?? '');

  it('gives the claims of the profile that tokens name', async () => {
    const payload = payloadOf(await tokenOf(await app.request(TDX, post({ quote: b64(quote) }))));
    assert.equal(payload['x-ms-attestation-type'], 'tdxvm');
    assert.equal(payload['eat_profile'], 'https://aka.ms/maa-eat-profile-tdxvm');
    assert.equal(payload['dbgstat'], 'disabled');
    for (const [name, digits] of [
      ['tdx_mrtd', 96],
      ['tdx_rtmr3', 96],
      ['tdx_mrseam', 96],
      ['tdx_report_data', 128],
      ['tdx_td_attributes', 16],
      ['tdx_xfam', 16],
      ['tdx_tee_tcb_svn', 32],
    ] as const)
      assert.match(JSON.stringify(payload[name]), new RegExp(`^"[0-9a-f]{${digits}}"$`), name);
    assert.equal(payload['tdx_td_attributes_septve_disable'], true);
    assert.equal(payload['tdx_td_attributes_debug'], false);
    assert.equal(typeof payload['tdx_seamsvn'], 'number');
    assert.equal(claimsOfToken(payload).tee, 'tdx');
  });

  it('refuses what was changed, an SGX quote, and a draft policy', async () => {
    const copy = quote.slice();
    copy[200] = (copy[200] ?? 0) ^ 1;
    const cases = [
      [{ quote: b64(copy) }, /quote\.signature/],
      [{ quote: b64(sharedBytes('maa/sdk/sgx-debug.quote.bin')) }, /collateral|quote\.format/],
      [
        { quote: b64(quote), draftPolicyForAttestation: 'version=1.0;' },
        /draftPolicyForAttestation: not for TdxVm/,
      ],
    ] as const;
    for (const [body, message] of cases)
      assert.match((await errorOf(await app.request(TDX, post(body)))).message, message);
  });
});
