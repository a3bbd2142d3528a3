import {
  admit,
  intelCollateralOf,
  verifySigningCertificate,
  type Check,
  type EvidenceEnvelope,
  type TrustedManifest,
} from '@cloister/attestation';
import { decodeBase64, isJsonObject, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { jwkFromSpki, jwkThumbprint } from '@cloister/crypto';
import type { Fetch } from '@cloister/service';
import { CommandError } from './command-error.ts';

/** Whether an enclave that the manifest admits holds one of an issuer's keys. */
export interface SigningKeyResult {
  readonly kid: string;
  readonly ok: boolean;
  readonly code?: string;
  readonly checks: readonly Check[];
}

/**
 * Checks every key that an attestation service publishes: its certificate carries evidence of the
 * enclave that holds it (spec/azure-attestation.md 6), and the manifest admits that enclave, and
 * names the key if it names keys of this issuer.
 */
export async function verifySigningKeys(
  url: string,
  options: {
    readonly manifest: TrustedManifest;
    /** The service's own evidence: its collateral serves for its certificates too. */
    readonly envelope: EvidenceEnvelope | undefined;
    readonly transport: Fetch;
    readonly at: Date;
  },
): Promise<readonly SigningKeyResult[]> {
  const { manifest, envelope, transport, at } = options;
  const base = url.replace(/\/+$/, '');
  const answer = await transport(new Request(`${base}/certs`));
  if (!answer.ok) throw new CommandError(`${base}/certs answers ${answer.status}`);
  const { keys } = parseJsonObject(await answer.text(), 'JWKS');
  const list = (Array.isArray(keys) ? keys : []).filter(isJsonObject);
  if (list.length === 0) throw new CommandError(`${base}/certs names no keys`);
  const { issuers, evidence } = manifest.manifest;
  const pinned = issuers.find(({ iss }) => iss === base)?.keys;
  const endorsements = envelope?.endorsements;
  const trust = {
    issuer: base,
    roots: evidence.roots,
    at,
    ...(endorsements === undefined ? {} : { collateral: intelCollateralOf(endorsements) }),
  };
  return Promise.all(list.map((key) => verifyKey(key, trust, manifest, pinned)));
}

async function verifyKey(
  key: JsonObject,
  trust: Parameters<typeof verifySigningCertificate>[1],
  manifest: TrustedManifest,
  pinned: readonly string[] | undefined,
): Promise<SigningKeyResult> {
  const kid = typeof key['kid'] === 'string' ? key['kid'] : '';
  const [leaf] = Array.isArray(key['x5c']) ? key['x5c'] : [];
  const der = typeof leaf === 'string' ? decodeBase64(leaf, 'x5c') : new Uint8Array();
  const result = await verifySigningCertificate(der, trust);
  if (!result.ok) return { kid, ...result };
  const { claims, spki } = result.claims;
  const appraisal = admit(manifest.manifest, 'attestation', claims);
  const checks: Check[] = [...result.checks, ...appraisal.checks];
  if (pinned !== undefined) {
    const named = pinned.includes(await jwkThumbprint(jwkFromSpki(spki)));
    checks.push({
      check: 'the manifest names the key',
      outcome: named ? 'passed' : 'failed',
      ...(named ? {} : { code: 'key_not_pinned' }),
    });
  }
  const code = checks.find(({ outcome }) => outcome === 'failed')?.code;
  return code === undefined ? { kid, ok: true, checks } : { kid, ok: false, code, checks };
}
