import { createHash } from 'node:crypto';
import { policyTokenHash } from '@cloister/attestation';
import {
  decodeUtf8,
  equalBytes,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { AzureError } from '../azure-error.ts';
import type { PolicyType } from '../kinds.ts';
import {
  certificateJwk,
  readCertificate,
  readManagementJws,
  type DocumentSigner,
  type ManagementJws,
} from '../policy/management-jws.ts';
import type { Policies } from '../policy/policies.ts';
import { readPolicyPayload } from '../policy/policy-document.ts';
import type { AuditOperation, AuditRecord, StateStore } from '../state/state-store.ts';

/** A management call as it is recorded. */
export interface Call {
  readonly actor: string;
  readonly at: Date;
}

/** What management works with. */
export interface ManageDeps {
  readonly state: StateStore;
  readonly policies: Policies;
}

/** How often a change is decided anew when another came in between. */
const ATTEMPTS = 3;
/** The claim of certificate JWS, and its older names (spec/azure-attestation.md 2.4). */
const CERTIFICATE_CLAIMS = [
  'policyCertificate',
  'maa-policyCertificate',
  'aas-policyCertificate',
  'x-ms-policyCertificate',
];
const LIMITS = { maxDepth: 8, maxLength: 1 << 20 };

/** The claims of the answer to GET policy: the JWS as it was set. */
export async function getPolicy(type: PolicyType, { policies }: ManageDeps): Promise<JsonObject> {
  return { 'x-ms-policy': (await policies.stored(type)).jws };
}

/** Puts a policy in force (spec/azure-attestation.md 2.2). */
export async function setPolicy(
  type: PolicyType,
  jws: string,
  call: Call,
  deps: ManageDeps,
): Promise<JsonObject> {
  return decide(async () => {
    const { signer, payload } = await readTrusted(jws, deps);
    readPolicyPayload(payload);
    const { version } = await deps.state.policy(type);
    const record = recordOf('set-policy', type, jws, call);
    if (!(await deps.state.setPolicy(type, jws, version, record))) return undefined;
    return {
      'x-ms-policy-result': 'Updated',
      'x-ms-policy-token-hash': await policyTokenHash(jws),
      ...(signer === undefined ? {} : { 'x-ms-policy-signer': signer.jwk }),
    };
  });
}

/** Takes a policy out of force: the default one is again (2.3). */
export async function resetPolicy(
  type: PolicyType,
  jws: string,
  call: Call,
  deps: ManageDeps,
): Promise<JsonObject> {
  return decide(async () => {
    const { payload } = await readTrusted(jws, deps);
    if (payload.length > 0)
      throw new AzureError(
        'InvalidOperation',
        'The JWT of a reset has an empty payload',
        'bad_jws',
      );
    const { version } = await deps.state.policy(type);
    const record = recordOf('reset-policy', type, jws, call);
    const done = await deps.state.setPolicy(type, undefined, version, record);
    return done ? { 'x-ms-policy-result': 'Removed' } : undefined;
  });
}

/** The claims of the answer to GET certificates: none on an open instance. */
export async function getCertificates({ state }: ManageDeps): Promise<JsonObject> {
  const { value = [] } = await state.signers();
  return { 'x-ms-policy-certificates': { keys: value.map(certificateJwk) } };
}

/** Adds a certificate to those who may sign policies, or takes one away (2.4). */
export async function changeCertificates(
  change: 'add' | 'remove',
  jws: string,
  call: Call,
  deps: ManageDeps,
): Promise<JsonObject> {
  return decide(async () => {
    const { version, value: before } = await deps.state.signers();
    if (before === undefined)
      throw new AzureError(
        'InvalidOperation',
        'Policy certificates can only be managed on an isolated instance',
        'not_isolated',
      );
    const { payload, signer } = await readManagementJws(jws);
    requireSigner(signer, before);
    const der = readPolicyCertificate(payload);
    const others = before.filter((one) => !equalBytes(one, der));
    if (change === 'remove' && others.length === 0)
      throw new AzureError(
        'InvalidOperation',
        'The last policy certificate cannot be removed',
        'last_certificate',
      );
    const record = recordOf(`${change}-certificate`, 'certificates', jws, call);
    const after = change === 'add' ? [...others, der] : others;
    if (!(await deps.state.setSigners(after, version, record))) return undefined;
    return {
      'x-ms-certificate-thumbprint': thumbprint(der),
      'x-ms-policycertificates-result': change === 'add' ? 'IsPresent' : 'IsAbsent',
    };
  });
}

/** A record of a call that was refused, or that only read. */
export function recordOf(
  operation: AuditOperation,
  subject: AuditRecord['subject'],
  sent: string,
  { actor, at }: Call,
  outcome = 'done',
): AuditRecord {
  const digest = sent === '' ? '' : createHash('sha256').update(sent).digest('base64url');
  const time = Math.floor(at.getTime() / 1000);
  return { time, actor, operation, subject, digest, outcome };
}

/** Signs for a JWS on an isolated instance: one of its certificates. On an open one, anyone. */
async function readTrusted(jws: string, { state }: ManageDeps): Promise<ManagementJws> {
  const document = await readManagementJws(jws);
  const { value } = await state.signers();
  if (value !== undefined) requireSigner(document.signer, value);
  return document;
}

function requireSigner(signer: DocumentSigner | undefined, trusted: readonly Bytes[]): void {
  if (signer === undefined)
    throw new AzureError(
      'InvalidOperation',
      'An isolated instance requires a JWT that is signed by one of its policy certificates',
      'unsigned',
    );
  const isTrusted = trusted.some((der) => equalBytes(parseCertificate(der).spki, signer.spki));
  if (!isTrusted)
    throw new AzureError(
      'InvalidOperation',
      'The JWT is not signed by a policy certificate of this instance',
      'unknown_signer',
    );
}

function readPolicyCertificate(payload: Bytes): Bytes {
  const jwk = readClaim(payload);
  const chain = isJsonObject(jwk) ? jwk['x5c'] : undefined;
  const [leaf] = Array.isArray(chain) ? chain : [];
  if (typeof leaf !== 'string')
    throw new AzureError(
      'InvalidOperation',
      'The JWT does not contain a policy certificate',
      'bad_certificate',
    );
  const { der, subject, issuer, basicConstraints } = readCertificate(leaf);
  if (equalBytes(subject, issuer) && basicConstraints?.ca !== true)
    throw new AzureError(
      'InvalidParameter',
      'A policy certificate that is its own root must be marked as a CA',
      'bad_certificate',
    );
  return der;
}

function readClaim(payload: Bytes): unknown {
  try {
    const json = parseJsonObject(decodeUtf8(payload, 'payload'), 'payload', LIMITS);
    const name = CERTIFICATE_CLAIMS.find((one) => json[one] !== undefined);
    return name === undefined ? undefined : json[name];
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return undefined;
  }
}

/** SHA-1, as certificates are named in Windows; nothing is secured by it. */
function thumbprint(der: Bytes): string {
  return createHash('sha1').update(der).digest('hex').toUpperCase();
}

/** Decides and changes; where another change came in between, decides anew. */
async function decide(change: () => Promise<JsonObject | undefined>): Promise<JsonObject> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const result = await change();
    if (result !== undefined) return result;
  }
  throw new AzureError('Conflict', 'Another change was made at the same time', 'conflict');
}
