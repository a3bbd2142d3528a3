import {
  admitToken,
  claimsOfToken,
  parseRuntimeData,
  pinnedIssuers,
  verifyToken,
  type RuntimeData,
  type TokenEvidenceClaims,
  type TrustedManifest,
  type Verification,
} from '@cloister/attestation';
import {
  canonicalJson,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  type JsonObject,
} from '@cloister/bytes';
import { parseJwk, type Jwk } from '@cloister/crypto';
import { VaultError } from './vault-error.ts';

/** A TEE that a key may be released to, by its attestation token. */
export interface JudgedTarget {
  readonly issuer: string;
  readonly payload: JsonObject;
  /** The service of the manifest that it is. */
  readonly service: string;
  readonly simulated: boolean;
  /** The RSA key of its runtime claims. */
  readonly wrapTo: Jwk;
}

/**
 * Judges the `target` of a release: a token by an issuer that the manifest pins, of the kind and
 * policy that it names, for code that is one of these services. `jku` and `x5c` are not followed.
 */
export async function judgeTarget(
  target: string,
  options: {
    readonly manifest: TrustedManifest;
    readonly services: readonly string[];
    readonly issuerKeys: readonly Jwk[];
    readonly at: Date;
  },
): Promise<Verification<JudgedTarget>> {
  const { manifest, services, issuerKeys, at } = options;
  const issuers = await pinnedIssuers(manifest.manifest, issuerKeys);
  const token = await verifyToken(target, { issuers, at });
  if (!token.ok) return token;
  const { issuer, payload } = token.claims;
  const claims = readClaims(payload);
  const agreement = issuers.find(({ iss }) => iss === issuer)?.agreement;
  if (claims === undefined || agreement === undefined) return refuse('token_claims_malformed');
  if (!agreement.tee.includes(claims.type)) return refuse('token_kind');
  const { policyHash } = agreement;
  if (policyHash !== undefined && claims.policyHash !== policyHash) return refuse('token_policy');
  const appraisals = services.map((service) => ({
    service,
    appraisal: admitToken(manifest.manifest, service, claims),
  }));
  const admitted = appraisals.find(({ appraisal }) => appraisal.ok);
  if (admitted === undefined) {
    const [nearest] = appraisals;
    const checks = nearest?.appraisal.checks ?? [];
    return { ok: false, code: nearest?.appraisal.code ?? 'service_unknown', checks };
  }
  const wrapTo = wrappingKeyOf(claims.runtime);
  if (wrapTo === undefined) return refuse('wrapping_key_missing');
  const { service } = admitted;
  const foreign = configurationRefused(claims.runtime, service, manifest);
  if (foreign !== undefined) return refuse(foreign);
  const { simulated } = claims;
  return {
    ok: true,
    claims: { issuer, payload, service, simulated, wrapTo },
    checks: token.checks,
  };
}

/**
 * Our own services name in their runtime data who they are and by which manifest they run: the same
 * code, started with another configuration, gets nothing here either (design 2.1, rule 1). Code
 * that is not ours has other runtime data, and is judged by its identity alone.
 */
function configurationRefused(
  runtime: JsonObject | undefined,
  service: string,
  { id }: TrustedManifest,
): string | undefined {
  if (runtime?.['cloister'] === undefined) return undefined;
  let data: RuntimeData;
  try {
    data = parseRuntimeData(encodeUtf8(canonicalJson(runtime)));
  } catch (error) {
    if (error instanceof MalformedError) return 'runtime_data_malformed';
    throw error;
  }
  if (data.service !== service) return 'service_mismatch';
  return data.manifests.includes(id) ? undefined : 'manifest_mismatch';
}

function refuse(code: string): Verification<JudgedTarget> {
  return { ok: false, code, checks: [] };
}

/** The key to wrap to: the vTPM's on a confidential VM, else one for encryption (spec 2.5). */
function wrappingKeyOf(runtime: JsonObject | undefined): Jwk | undefined {
  const keys = Array.isArray(runtime?.['keys']) ? runtime['keys'].filter(isJsonObject) : [];
  const rsa = keys.filter(({ kty }) => kty === 'RSA');
  const named = rsa.find(({ kid }) => kid === 'TpmEphemeralEncryptionKey');
  const found = named ?? rsa.find(isForWrapping);
  return found === undefined ? undefined : parseJwk(found, 'runtime key');
}

function isForWrapping({ use, key_ops: operations }: JsonObject): boolean {
  if (use === 'enc') return true;
  if (use !== undefined) return false;
  const list: readonly unknown[] = Array.isArray(operations) ? operations : [];
  return list.includes('encrypt') || list.includes('wrapKey');
}

function readClaims(payload: JsonObject): TokenEvidenceClaims | undefined {
  try {
    return claimsOfToken(payload);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** The refusal of a target, in the vault's words. */
export function targetRefused(code: string): VaultError {
  return new VaultError('Forbidden', `Target environment attestation statement: ${code}`);
}
