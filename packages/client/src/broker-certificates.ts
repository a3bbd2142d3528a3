import type { Check, TrustedManifest, Verification } from '@cloister/attestation';
import {
  canonicalJson,
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import {
  parseCertificate,
  signJws,
  verifyJws,
  verifyPath,
  type Certificate,
} from '@cloister/crypto';
import type { HeadSource } from './broker-heads.ts';
import { exchange, expectStatus, jsonOf } from './exchange.ts';
import { numberOf, optionalTextOf, readAnswer, textOf, textsOf } from './fields.ts';

/** The certificate authorities of a broker, as it says itself (spec/key-broker.md 5.2). */
export interface CertificateAuthorities {
  readonly deployment: string;
  /** The party whose broker it is. */
  readonly party: string;
  /** Id of the manifest in force. */
  readonly manifest: string;
  /** When it was said, in seconds since 1970. */
  readonly time: number;
  /** DER; newest first. What is not among them is no longer accepted. */
  readonly certificates: readonly Bytes[];
  /** The asker's nonce. */
  readonly nonce?: Bytes | undefined;
}

/** The `typ` of the statement: its signature is good for nothing else. */
const TYP = 'cloister-ca+jws';
const NONCE_LENGTH = 32;
const LIMIT = 1 << 16;
/** A current one, and the one that it replaced for its age. */
const MOST = 2;

/** Signs, as a broker, which certificate authorities of it count. */
export function signCertificateAuthorities(
  statement: CertificateAuthorities,
  brokerKey: CryptoKey,
): Promise<string> {
  const { certificates, nonce, ...rest } = statement;
  const payload: JsonObject = {
    ...rest,
    certificates: certificates.map(encodeBase64url),
    ...(nonce === undefined ? {} : { nonce: encodeBase64url(nonce) }),
  };
  const header = { typ: TYP };
  return signJws({
    alg: 'ES256',
    key: brokerKey,
    header,
    payload: encodeUtf8(canonicalJson(payload)),
  });
}

/** Whose statement it must be, and how fresh. */
export interface AuthoritiesTrust {
  readonly manifest: TrustedManifest;
  readonly party: string;
  /** The nonce that it must answer; without one, it may be as old as a lease. */
  readonly nonce?: Bytes | undefined;
  readonly at: Date;
}

/** Certificate authorities that were verified, parsed. */
export interface VerifiedAuthorities {
  readonly party: string;
  readonly deployment: string;
  readonly certificates: readonly Certificate[];
}

/**
 * Verifies which authorities a party's broker has: signed by the broker key that the manifest names,
 * under this manifest, now. After a manifest that narrows a service, what was said before is refused.
 */
export async function verifyCertificateAuthorities(
  jws: string,
  { manifest, party, nonce, at }: AuthoritiesTrust,
): Promise<Verification<VerifiedAuthorities>> {
  const checks: Check[] = [];
  const refuse = (check: string, code: string): Verification<never> => {
    checks.push({ check, outcome: 'failed', code });
    return { ok: false, code, checks };
  };
  const pass = (check: string): void => void checks.push({ check, outcome: 'passed' });

  const { parties, deployment, lease } = manifest.manifest;
  const key = Object.hasOwn(parties, party) ? parties[party]?.broker?.sig : undefined;
  if (key === undefined) return refuse('broker named in the manifest', 'broker_unknown');
  pass('broker named in the manifest');
  const signed = await verifyJws(jws, { key, algs: ['ES256'], typ: TYP });
  if (!signed.ok) return refuse('signed by that broker', 'sender_foreign');
  pass('signed by that broker');
  const said = readStatement(signed.payload);
  if (said === undefined) return refuse('form of the statement', 'statement_malformed');
  pass('form of the statement');
  if (said.party !== party || said.deployment !== deployment)
    return refuse('of this party and deployment', 'statement_of_another');
  pass('of this party and deployment');
  if (said.manifest !== manifest.id) return refuse('under this manifest', 'manifest_mismatch');
  pass('under this manifest');
  const now = at.getTime() / 1000;
  const answers =
    nonce === undefined
      ? Math.abs(now - said.time) <= lease
      : said.nonce !== undefined && encodeBase64url(said.nonce) === encodeBase64url(nonce);
  if (!answers) return refuse('said now', 'statement_stale');
  pass('said now');
  const problems = await Promise.all(
    said.certificates.map(({ subject, spki }, i) =>
      verifyPath(said.certificates.slice(i, i + 1), {
        at,
        anchorName: subject,
        anchorSpki: spki,
        leafIsCa: true,
      }),
    ),
  );
  if (problems.flat().length > 0) return refuse('certificates of authorities', 'authority_invalid');
  pass('certificates of authorities');
  return { ok: true, claims: { party, deployment, certificates: said.certificates }, checks };
}

/**
 * Asks a party's broker for its certificate authorities. They are signed, so no channel is needed;
 * ClientError where nobody answers.
 */
export async function fetchCertificateAuthorities(
  options: HeadSource & {
    readonly manifest: TrustedManifest;
    readonly party: string;
    readonly now: () => Date;
    readonly random: (length: number) => Bytes;
  },
): Promise<Verification<VerifiedAuthorities>> {
  const { baseUrl, transport, manifest, party, now } = options;
  const nonce = options.random(NONCE_LENGTH);
  const path = `/v1/certificates/ca?nonce=${encodeBase64url(nonce)}`;
  const request = new Request(`${baseUrl.replace(/\/+$/, '')}${path}`);
  const answer = await exchange(transport, request, { where: 'key broker', limit: LIMIT });
  expectStatus(answer, 'key broker', 200);
  const jws = readAnswer('authorities', () => textOf(jsonOf(answer, 'key broker'), 'authorities'));
  return verifyCertificateAuthorities(jws, { manifest, party, nonce, at: now() });
}

type ReadStatement = Omit<CertificateAuthorities, 'certificates'> &
  Pick<VerifiedAuthorities, 'certificates'>;

function readStatement(payload: Uint8Array): ReadStatement | undefined {
  try {
    const json = parseJsonObject(decodeUtf8(payload, 'authorities'), 'authorities');
    const certificates = textsOf(json, 'certificates').map((text) =>
      parseCertificate(decodeBase64url(text, 'authorities'), 'certificate authority'),
    );
    if (certificates.length === 0 || certificates.length > MOST) return undefined;
    const nonce = optionalTextOf(json, 'nonce');
    return {
      deployment: textOf(json, 'deployment'),
      party: textOf(json, 'party'),
      manifest: textOf(json, 'manifest'),
      time: numberOf(json, 'time'),
      certificates,
      ...(nonce === undefined ? {} : { nonce: decodeBase64url(nonce, 'nonce') }),
    };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
