import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalJson, type JsonObject, type JsonValue } from '@cloister/bytes';
import { canonicalManifest } from './manifest.ts';
import { parseManifest } from './parse-manifest.ts';

const key = (letter: string) => ({
  kty: 'EC',
  crv: 'P-256',
  x: letter.repeat(43),
  y: letter.repeat(43),
});
const V1 = '0a'.repeat(16);
const V2 = '0b'.repeat(16);

/** A hospital with a vault, and an AI provider with a broker. */
function withVault(): JsonObject {
  return {
    apiVersion: 'cloister.dev/v1',
    deployment: 'lamna',
    profile: 'production',
    serial: 1,
    lease: 900,
    parties: {
      hospital: {
        keys: [key('A')],
        vault: { url: 'https://lamna.vault.azure.net', roots: ['0c'.repeat(32)] },
      },
      platform: { keys: [key('B')] },
      diagnostics: { keys: [key('C')], broker: { sig: key('D'), witness: 'platform' } },
    },
    quorum: { update: { of: ['hospital', 'platform', 'diagnostics'], min: 3 } },
    evidence: { roots: 'hardware', platforms: 'any' },
    issuers: [],
    services: {
      records: {
        identity: {
          anyOf: [{ tee: 'sgx', mrenclave: ['01'.repeat(32)], isvProdId: 1, minIsvSvn: 0 }],
        },
      },
    },
    secrets: {
      'tenant-key': {
        owner: 'hospital',
        type: 'aes256',
        to: ['records'],
        vault: { key: 'lamna-Tenant-1', versions: { '1': V1, '2': V2 } },
      },
      'model-key': { owner: 'diagnostics', type: 'imported', to: ['records'] },
    },
    counters: { models: { owner: 'diagnostics', to: ['records'] } },
  };
}

function changed(path: string, value: JsonValue | undefined): string {
  const manifest = withVault();
  const names = path.split('/').slice(1);
  const last = names.pop() ?? '';
  let at: JsonObject = manifest;
  for (const name of names) at = at[name] as JsonObject;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return JSON.stringify(manifest);
}

describe('a manifest with a vault', () => {
  it('is read, and loses nothing', () => {
    const manifest = parseManifest(JSON.stringify(withVault()));
    assert.equal(canonicalManifest(manifest), canonicalJson(withVault()));
    assert.ok(parseManifest(changed('/parties/hospital/vault/url', 'https://localhost:8443')));
  });

  const VAULT = '/parties/hospital/vault';
  const TENANT = '/secrets/tenant-key/vault';
  const refused: readonly (readonly [string, string, JsonValue | undefined, string?])[] = [
    ['a broker beside the vault', '/parties/hospital/broker', { sig: key('E') }, VAULT],
    ['a vault without its address', `${VAULT}/url`, undefined],
    ['a vault without TLS', `${VAULT}/url`, 'http://lamna.vault.azure.net'],
    ['a vault at a path', `${VAULT}/url`, 'https://lamna.vault.azure.net/'],
    ['a vault with a user', `${VAULT}/url`, 'https://x@lamna.vault.azure.net'],
    ['a vault in upper case', `${VAULT}/url`, 'https://Lamna.vault.azure.net'],
    ['a vault that nobody vouches for', `${VAULT}/roots`, []],
    ['a root that is no digest', `${VAULT}/roots`, ['0c'], `${VAULT}/roots/0`],
    ['a root twice', `${VAULT}/roots`, ['0c'.repeat(32), '0c'.repeat(32)], `${VAULT}/roots/1`],
    ['an unknown member of the vault', `${VAULT}/tls`, true],
    ['a secret that names no key in its owner’s vault', TENANT, undefined],
    ['a key without a name', `${TENANT}/key`, undefined],
    ['a key whose name is no name', `${TENANT}/key`, 'tenant/../x'],
    ['a key without versions', `${TENANT}/versions`, {}],
    ['a version that is none', `${TENANT}/versions/1`, 'latest'],
    ['a number that is none', `${TENANT}/versions/01`, 'cc'.repeat(16)],
    ['a version by two numbers', `${TENANT}/versions/3`, V1],
    [
      'more versions than anybody needs',
      `${TENANT}/versions`,
      Object.fromEntries(
        Array.from({ length: 17 }, (_, i) => [`${i + 1}`, `${i + 10}`.repeat(16)]),
      ),
    ],
    ['a channel key in a vault', '/secrets/tenant-key/type', 'hpke'],
    ['a lifetime that no vault keeps', '/secrets/tenant-key/lifetime', 60],
    [
      'a key in the vault of a party that has none',
      '/secrets/model-key/vault',
      { key: 'x', versions: { '1': V1 } },
    ],
    ['a counter of a party with a vault', '/counters/models/owner', 'hospital'],
    ['a party with a vault as a witness', '/parties/diagnostics/broker/witness', 'hospital'],
  ];
  for (const [name, path, value, pointer = path] of refused)
    it(`is refused for ${name}, by the pointer`, () => {
      assert.throws(() => parseManifest(changed(path, value)), {
        name: 'MalformedError',
        where: `manifest: ${pointer}`,
      });
    });
});
