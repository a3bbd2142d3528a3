import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseManifest, partyKeysDigest, type Manifest } from '@cloister/attestation';
import { encodeBase64url, type JsonObject } from '@cloister/bytes';
import { vaultPolicy } from './vault-policy.ts';

const key = (letter: string) => ({
  kty: 'EC',
  crv: 'P-256',
  x: letter.repeat(43),
  y: letter.repeat(43),
});
const hex = (byte: string, length = 32) => byte.repeat(length);
const SGX = {
  tee: 'sgx',
  mrenclave: [hex('01'), hex('02')],
  mrsigner: [hex('03')],
  isvProdId: 101,
  minIsvSvn: 3,
};
const SNP = {
  tee: 'snp',
  measurement: [hex('04', 48)],
  hostData: [hex('05')],
  minTcb: { bootloader: 4, tee: 0, snp: 22, microcode: 213 },
};
const TDX = {
  tee: 'tdx',
  mrtd: [hex('06', 48)],
  rtmr: [
    [hex('07', 48), hex('08', 48), hex('09', 48), hex('0a', 48)],
    [hex('07', 48), hex('08', 48), hex('09', 48), hex('0b', 48)],
  ],
  mrConfigId: [hex('0c', 48)],
};

function manifestOf(anyOf: readonly JsonObject[], tee: readonly string[]): Manifest {
  const vault = { key: 'lamna-tenant', versions: { '1': hex('0d', 16) } };
  return parseManifest(
    JSON.stringify({
      apiVersion: 'cloister.dev/v1',
      deployment: 'lamna',
      profile: 'production',
      serial: 1,
      lease: 900,
      parties: {
        hospital: {
          keys: [key('A'), key('B')],
          vault: { url: 'https://lamna.vault.azure.net', roots: [hex('0e')] },
        },
        diagnostics: { keys: [key('C')] },
      },
      quorum: { update: { of: ['hospital', 'diagnostics'], min: 2 } },
      evidence: { roots: 'hardware', platforms: 'any' },
      issuers: [
        {
          iss: 'https://lamna.attest.azure.net',
          keys: ['k'.repeat(43)],
          policyHash: 'p'.repeat(43),
          tee,
        },
      ],
      services: { records: { identity: { anyOf } }, inference: { identity: { anyOf: [SGX] } } },
      secrets: {
        'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'], vault },
        'model-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
      },
    }),
  );
}
type Rules = readonly { readonly authority: string; readonly allOf: readonly JsonObject[] }[];
const rulesOf = async (manifest: Manifest): Promise<Rules> => {
  const { version, anyOf } = await vaultPolicy(manifest, 'tenant-key');
  assert.equal(version, '1.0.0');
  return anyOf as unknown as Rules;
};
const claims = (rule: Rules[number] | undefined) => rule?.allOf.map(({ claim }) => claim);

describe('vaultPolicy', () => {
  it('asks for each measurement, the issuer’s policy, the service, and the owner’s signature', async () => {
    const manifest = manifestOf([SGX], ['sgx']);
    const rules = await rulesOf(manifest);
    const digest = await partyKeysDigest(manifest.parties['hospital'] ?? { keys: [] });
    assert.deepEqual(
      rules.map(({ authority }) => authority),
      ['https://lamna.attest.azure.net', 'https://lamna.attest.azure.net'],
    );
    assert.deepEqual(rules[1]?.allOf, [
      { claim: 'x-ms-attestation-type', equals: 'sgx' },
      { claim: 'x-ms-sgx-is-debuggable', equals: 'false' },
      { claim: 'x-ms-sgx-mrenclave', equals: hex('02') },
      { claim: 'x-ms-sgx-mrsigner', equals: hex('03') },
      { claim: 'x-ms-sgx-product-id', equals: 101 },
      { claim: 'x-ms-sgx-svn', greaterOrEquals: 3 },
      { claim: 'x-ms-policy-hash', equals: 'p'.repeat(43) },
      { claim: 'x-ms-runtime.service', equals: 'records' },
      { claim: 'x-ms-runtime.nonce', equals: encodeBase64url(digest) },
    ]);
  });

  it('asks for guests and trust domains, where the issuer speaks of them', async () => {
    const both = manifestOf([SNP, TDX], ['sevsnpvm', 'tdxvm']);
    const [snp, ...tdx] = await rulesOf(both);
    assert.ok(claims(snp)?.includes('x-ms-sevsnpvm-hostdata'));
    assert.ok(claims(snp)?.includes('x-ms-sevsnpvm-microcode-svn'));
    assert.equal(tdx.length, 2);
    assert.ok(claims(tdx[1])?.includes('tdx_rtmr3'));
    assert.equal((await rulesOf(manifestOf([SNP, TDX], ['tdxvm']))).length, 2);
  });

  it('is none where nobody speaks of the code, or no policy can, or the key is elsewhere', async () => {
    await assert.rejects(rulesOf(manifestOf([SNP], ['sgx'])), /no issuer/);
    const pcrs = [0, 2, 4, 7, 8, 9, 11, 12, 13].map((index) => [`${index}`, hex('0f')]);
    const cvm = { tee: 'azure-cvm', paravisor: SNP, pcrs: Object.fromEntries(pcrs) as JsonObject };
    const guest = manifestOf([{ ...cvm, isolation: 'vm' }], ['sevsnpvm']);
    await assert.rejects(rulesOf(guest), /azure-cvm/);
    for (const name of ['model-key', 'nothing'])
      await assert.rejects(vaultPolicy(manifestOf([SGX], ['sgx']), name), /in no vault/);
  });
});
