import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalJson, type JsonObject, type JsonValue } from '@cloister/bytes';
import * as fc from 'fast-check';
import { CODE_PCRS } from './code-pcrs.ts';
import { canonicalManifest, manifestId } from './manifest.ts';
import { parseManifest, parseManifestFile } from './parse-manifest.ts';

const key = (letter: string) => ({
  kty: 'EC',
  crv: 'P-256',
  x: letter.repeat(43),
  y: letter.repeat(43),
});
const hex = (byte: string, length: number) => byte.repeat(length);
const CVM = '/services/records/identity/anyOf/3';

/** Every member that a manifest can have. */
function full(): JsonObject {
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'production',
    serial: 7,
    previous: hex('0a', 32),
    lease: 900,
    parties: {
      hospital: { keys: [key('A'), key('B')], broker: { sig: key('C'), witness: 'diagnostics' } },
      platform: { keys: [{ ...key('D'), kid: 'p', alg: 'ES256', use: 'sig' }] },
      diagnostics: { keys: [key('E')], broker: { sig: key('F') } },
    },
    quorum: { update: { of: ['hospital', 'platform', 'diagnostics'], min: 3 } },
    evidence: { roots: 'hardware', minTcbEvaluationDataNumber: 17, platforms: [hex('0b', 16)] },
    issuers: [
      {
        iss: 'https://attest.example/x',
        keys: ['k'.repeat(43)],
        policyHash: 'p'.repeat(43),
        tee: ['sgx', 'sevsnpvm', 'tdxvm'],
      },
    ],
    services: {
      records: {
        identity: {
          anyOf: [
            {
              tee: 'sgx',
              mrenclave: [hex('01', 32)],
              mrsigner: [hex('02', 32)],
              configId: [hex('03', 64)],
              configSvn: 1,
              isvProdId: 101,
              minIsvSvn: 3,
              tcb: ['UpToDate', 'SWHardeningNeeded'],
              advisories: ['INTEL-SA-00615'],
            },
            {
              tee: 'snp',
              measurement: [hex('04', 48)],
              hostData: [hex('05', 32)],
              idKeyDigest: [hex('06', 48)],
              product: 'Turin',
              minTcb: { fmc: 1, bootloader: 4, tee: 0, snp: 22, microcode: 213 },
            },
            {
              tee: 'tdx',
              mrtd: [hex('07', 48)],
              rtmr: [[hex('08', 48), hex('08', 48), hex('08', 48), hex('08', 48)]],
              mrConfigId: [hex('09', 48)],
              mrOwner: [hex('13', 48)],
              mrOwnerConfig: [hex('14', 48)],
              tcb: ['UpToDate'],
              advisories: [],
            },
            {
              tee: 'azure-cvm',
              paravisor: {
                tee: 'snp',
                measurement: [hex('12', 48)],
                hostData: [hex('00', 32)],
                minTcb: { bootloader: 4, tee: 0, snp: 24, microcode: 219 },
              },
              pcrs: Object.fromEntries([...CODE_PCRS, '14'].map((index) => [index, hex('0a', 32)])),
              isolation: 'pod',
            },
          ],
        },
        built: { commit: hex('0c', 20), lockfile: hex('0d', 32), node: hex('0e', 32) },
        config: {
          identityProvider: {
            issuer: 'https://id.example',
            keys: ['k'.repeat(43)],
            audience: 'records',
          },
          auditAnchor: '1s',
          kems: ['x-wing', 'x25519', 'p-256'],
        },
      },
      inference: {
        identity: {
          anyOf: [{ tee: 'sgx', mrenclave: [hex('01', 32)], isvProdId: 102, minIsvSvn: 0 }],
        },
        config: {},
      },
    },
    models: { 'cxr-pneumonia-cam': { '1': { digest: hex('0f', 32), contract: hex('10', 32) } } },
    secrets: {
      'tenant-key': { owner: 'hospital', type: 'aes256', to: ['records'] },
      'channel-key': { owner: 'hospital', type: 'hpke', to: ['records'], lifetime: 86_400 },
      'model-key': { owner: 'diagnostics', type: 'imported', to: ['inference'] },
    },
    cache: { roles: { records: '~records:* +@read +@write' } },
    counters: { 'records-log': { owner: 'hospital', to: ['records'] } },
    portal: { origin: 'https://portal.lamna.example', build: hex('11', 32) },
  };
}

/** The manifest with the value at a path replaced; undefined takes it away. */
function changed(path: string, value: JsonValue | undefined): string {
  const manifest = full();
  const names = path.split('/').slice(1);
  const last = names.pop() ?? '';
  let at: JsonObject = manifest;
  for (const name of names) at = at[name] as JsonObject;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return JSON.stringify(manifest);
}

describe('parseManifest', () => {
  it('reads every member, and loses none', async () => {
    const text = JSON.stringify(full(), null, 2);
    const manifest = parseManifest(text);
    assert.equal(canonicalManifest(manifest), canonicalJson(full()));
    assert.match(await manifestId(manifest), /^[0-9a-f]{64}$/u);
  });

  it('gives one id for one meaning, whatever the order and white space', async () => {
    const reversed = Object.fromEntries(Object.entries(full()).toReversed());
    const [a, b] = [JSON.stringify(full(), null, 4), JSON.stringify(reversed)];
    assert.equal(await manifestId(parseManifest(a)), await manifestId(parseManifest(b)));
    const other = parseManifest(changed('/lease', 901));
    assert.notEqual(await manifestId(parseManifest(a)), await manifestId(other));
  });

  it('needs only what decides', () => {
    const manifest = full();
    for (const name of ['models', 'secrets', 'cache', 'counters', 'portal']) delete manifest[name];
    assert.ok(parseManifest(JSON.stringify(manifest)));
  });

  it('takes simulated roots and issuers on this machine under profile dev', () => {
    const manifest = full();
    manifest['profile'] = 'dev';
    manifest['evidence'] = { roots: { simulated: [hex('0a', 32)] }, platforms: 'any' };
    manifest['issuers'] = [
      { iss: 'http://127.0.0.1:8080', keys: ['k'.repeat(43)], tee: ['simulated'] },
    ];
    assert.ok(parseManifest(JSON.stringify(manifest)));
  });

  const refused: readonly (readonly [string, string, JsonValue | undefined, string?])[] = [
    ['an unknown member', '/extra', 1],
    ['an unknown member deep inside', '/services/records/identity/anyOf/0/mrtd', []],
    ['another version', '/apiVersion', 'cloister.dev/v2'],
    ['no deployment', '/deployment', undefined],
    ['serial 0', '/serial', 0],
    ['a serial that is no integer', '/serial', 1.5],
    ['a serial beyond what numbers hold', '/serial', 2 ** 53],
    ['no predecessor after serial 1', '/previous', undefined, '/serial'],
    ['a predecessor of serial 1', '/serial', 1, '/previous'],
    ['a lease of a week', '/lease', 604_800],
    ['no parties', '/parties', {}],
    ['a party whose name is no name', '/parties/Hospital', { keys: [key('G')] }],
    ['a party without keys', '/parties/platform/keys', []],
    [
      'a private key',
      '/parties/platform/keys',
      [{ ...key('D'), d: 'x' }],
      '/parties/platform/keys/0/d',
    ],
    ['a key of two parties', '/parties/platform/keys', [key('A')], '/parties/platform/keys/0'],
    [
      'the same point, negated, for two parties',
      '/parties/platform/keys',
      [{ ...key('A'), y: 'Q'.repeat(43) }],
      '/parties/platform/keys/0',
    ],
    ['a broker that signs with its party’s key', '/parties/hospital/broker/sig', key('A')],
    ['a witness that is no party', '/parties/hospital/broker/witness', 'nobody'],
    ['a quorum of nobody', '/quorum/update/of', []],
    [
      'a quorum with a party twice',
      '/quorum/update/of',
      ['hospital', 'hospital', 'platform'],
      '/quorum/update/of/1',
    ],
    [
      'a quorum with a stranger',
      '/quorum/update/of',
      ['hospital', 'x', 'platform'],
      '/quorum/update/of/1',
    ],
    ['a quorum of more than there are', '/quorum/update/min', 4],
    ['a quorum of none', '/quorum/update/min', 0],
    ['other roots', '/evidence/roots', 'software'],
    ['simulated roots in production', '/evidence/roots', { simulated: [hex('0a', 32)] }],
    ['no simulated root', '/evidence/roots', { simulated: [] }],
    ['platforms that are none', '/evidence/platforms', []],
    ['a simulated issuer under hardware', '/issuers/0/tee', ['simulated'], '/issuers/0/tee/0'],
    ['an issuer without TLS', '/issuers/0/iss', 'http://attest.example'],
    ['an issuer on this machine in production', '/issuers/0/iss', 'http://127.0.0.1:1'],
    ['an issuer without keys', '/issuers/0/keys', []],
    ['an issuer of hardware whose policy is not pinned', '/issuers/0/policyHash', undefined],
    ['no service', '/services', undefined],
    ['a service without identity', '/services/inference/identity/anyOf', []],
    [
      'an identity of another kind',
      '/services/inference/identity/anyOf/0/tee',
      'nitro',
      '/services/inference/identity/anyOf/0',
    ],
    [
      'a signer in the place of a measurement',
      '/services/records/identity/anyOf/0/mrenclave',
      undefined,
    ],
    ['an empty list of measurements', '/services/records/identity/anyOf/0/mrenclave', []],
    ['upper-case hex', '/services/records/identity/anyOf/0/mrenclave/0', hex('0A', 32)],
    ['hex that is too short', '/services/records/identity/anyOf/0/mrenclave/0', hex('0a', 31)],
    [
      'a TCB that is revoked',
      '/services/records/identity/anyOf/0/tcb',
      ['Revoked'],
      '/services/records/identity/anyOf/0/tcb/0',
    ],
    ['three registers', '/services/records/identity/anyOf/2/rtmr/0', [hex('08', 48)]],
    ['a guest without HOST_DATA', '/services/records/identity/anyOf/1/hostData', undefined],
    ['PCR 24', `${CVM}/pcrs/24`, hex('0a', 32)],
    ['no PCR', `${CVM}/pcrs`, {}, `${CVM}/pcrs/0`],
    ...CODE_PCRS.map((index) => {
      const pointer = `${CVM}/pcrs/${index}`;
      return [`a confidential VM without PCR ${index}`, pointer, undefined] as const;
    }),
    ['a PCR by a number that is written in another way', `${CVM}/pcrs/04`, hex('0a', 32)],
    ['a PCR that is too short', `${CVM}/pcrs/4`, hex('0a', 20)],
    ['a confidential VM without its paravisor', `${CVM}/paravisor`, undefined],
    ['a paravisor that is an enclave', `${CVM}/paravisor/tee`, 'sgx', `${CVM}/paravisor`],
    ['a paravisor that is a guest', `${CVM}/paravisor/tee`, 'azure-cvm', `${CVM}/paravisor`],
    ['a paravisor that nothing measures', `${CVM}/paravisor/measurement`, []],
    ['a paravisor on any firmware', `${CVM}/paravisor/minTcb`, undefined],
    ['a paravisor with an unknown member', `${CVM}/paravisor/vmpl`, 1],
    ['a confidential VM with an unknown member', `${CVM}/debug`, true],
    ['an isolation that is none', `${CVM}/isolation`, 'none'],
    ['a product line that is none', '/services/records/identity/anyOf/1/product', 'Naples'],
    [
      'a KEM that is none',
      '/services/records/config/kems',
      ['rsa'],
      '/services/records/config/kems/0',
    ],
    ['a secret of a stranger', '/secrets/tenant-key/owner', 'nobody'],
    ['a secret to a stranger', '/secrets/tenant-key/to', ['nobody'], '/secrets/tenant-key/to/0'],
    ['a role of a stranger', '/cache/roles/nobody', '+@all'],
    ['a counter of a stranger', '/counters/records-log/owner', 'nobody'],
    ['a portal at a path', '/portal/origin', 'https://portal.lamna.example/x'],
    ['a model without contract', '/models/cxr-pneumonia-cam/1/contract', undefined],
  ];
  for (const [name, path, value, pointer = path] of refused) {
    it(`refuses ${name}, and names the pointer`, () => {
      assert.throws(() => parseManifest(changed(path, value)), {
        name: 'MalformedError',
        where: `manifest: ${pointer}`,
      });
    });
  }

  it('refuses an issuer that is named twice', () => {
    const [issuer] = full()['issuers'] as JsonObject[];
    const text = changed('/issuers', [issuer ?? {}, issuer ?? {}]);
    assert.throws(() => parseManifest(text), { where: 'manifest: /issuers/1' });
  });

  it('refuses names that objects inherit', () => {
    const text = changed('/services', {}).replace('"services":{}', '"services":{"__proto__":{}}');
    assert.throws(() => parseManifest(text), { name: 'MalformedError' });
  });

  it('refuses duplicate names, truncation, depth and size', () => {
    const text = JSON.stringify(full());
    assert.throws(() => parseManifest(text.replace('{', '{"serial":7,')), { code: 'bad_value' });
    for (let length = 0; length < text.length; length += 101)
      assert.throws(() => parseManifest(text.slice(0, length)), { name: 'MalformedError' });
    assert.throws(() => parseManifest('['.repeat(100)), { code: 'too_deep' });
    assert.throws(() => parseManifest(' '.repeat(2_000_000)), { code: 'too_large' });
  });

  it('never throws anything but MalformedError', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(full())),
        fc.jsonValue({ maxDepth: 3 }),
        (name, value) => {
          try {
            parseManifest(changed(`/${name}`, value as JsonValue));
          } catch (error) {
            assert.equal((error as Error).name, 'MalformedError');
          }
        },
      ),
    );
  });
});

describe('parseManifestFile', () => {
  it('reads the manifest and its signatures', () => {
    const signatures = { hospital: 'a..b' };
    const file = parseManifestFile(JSON.stringify({ manifest: full(), signatures }));
    assert.equal(file.manifest.serial, 7);
    assert.deepEqual(file.signatures, signatures);
  });

  it('refuses other members, and signatures that are none', () => {
    for (const file of [
      { manifest: full() },
      { manifest: full(), signatures: {}, more: 1 },
      { manifest: full(), signatures: { hospital: 1 } },
      { manifest: full(), signatures: { hospital: 'a b' } },
    ])
      assert.throws(() => parseManifestFile(JSON.stringify(file)), { name: 'MalformedError' });
  });
});
