import { BROKER_ANSWER, type VaultAgreement, type Verification } from '@cloister/attestation';
import { encodeBase64url, encodeUtf8, type Bytes } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, jsonOf } from './exchange.ts';
import { readAnswer, textOf } from './fields.ts';
import { openVaultRelease, wrappingFor, type VaultRelease } from './vault-release.ts';

/** Where a vault is, and how it is asked. */
export interface VaultClientOptions {
  /** The vault as the manifest names it: its answers are judged by that. */
  readonly vault: VaultAgreement;
  readonly transport: Fetch;
  /**
   * An access token for the vault's interface (Entra ID). It authorises the call and nothing else: a
   * key is released by the attestation token, and opened by the attested key.
   */
  readonly authorize: () => Promise<string>;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
}

/** Which key is asked for, and who asks. */
export interface VaultKeyQuery {
  /** The key's name in the vault, and the id of one version. */
  readonly key: string;
  readonly version: string;
  /** The attestation token: its runtime data name the public half of `decryptKey`. */
  readonly token: string;
  /** The attested `enc` key; make a new one for each release. */
  readonly decryptKey: CryptoKey;
}

/** A client of a vault that speaks Azure's Secure Key Release. */
export interface VaultClient {
  /**
   * Has a key released. What is refused is a verification that failed: `vault_refused` and
   * `vault_key_unknown` where the vault says no, `vault_unauthorized` where it does not take the
   * access token. ClientError where nobody could be asked.
   */
  releaseKey(query: VaultKeyQuery): Promise<Verification<VaultRelease>>;
}

const API_VERSION = '7.4';
const LIMIT = 256 * 1024;
const NONCE_LENGTH = 32;
const WHERE = 'key vault';
/** A bearer token (RFC 6750, 2.1), of a length that servers take in a header. */
const BEARER = /^[\w.~+/-]{1,16384}=*$/;

/** Makes a client of the vault that the manifest names (spec/key-broker.md 2.5). */
export function createVaultClient(options: VaultClientOptions): VaultClient {
  const { vault, transport, authorize, now, random } = options;
  return {
    async releaseKey({ key, version, token, decryptKey }) {
      const nonce = random(NONCE_LENGTH);
      const enc = wrappingFor(decryptKey);
      const bearer = await authorize();
      if (!BEARER.test(bearer)) throw new ClientError('unauthorized', `${WHERE}: access token`);
      const url = `${vault.url}/keys/${key}/${version}/release?api-version=${API_VERSION}`;
      const request = new Request(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: encodeUtf8(JSON.stringify({ target: token, nonce: encodeBase64url(nonce), enc })),
      });
      const answer = await exchange(transport, request, { where: WHERE, limit: LIMIT });
      const { status } = answer;
      if (status === 401) return { ok: false, code: 'vault_unauthorized', checks: [] };
      if (status === 404) return refused('vault_key_unknown');
      if (status === 400 || status === 403) return refused('vault_refused');
      expectStatus(answer, WHERE, 200);
      const jws = readAnswer(WHERE, () => textOf(jsonOf(answer, WHERE), 'value'));
      return openVaultRelease(jws, { vault, key, version, decryptKey, nonce, at: now() });
    },
  };
}

/** The vault's own no: nothing is signed then, and whoever can forge it can cut the line as well. */
function refused(code: string): Verification<never> {
  return { ok: false, code, checks: [{ check: BROKER_ANSWER, outcome: 'failed', code }] };
}
