import {
  type Check,
  isVerified,
  type VerifiedCaller,
  type Verification,
} from '@cloister/attestation';
import { type Bytes, encodeUtf8, MalformedError } from '@cloister/bytes';
import { sha256, spkiFromJwk } from '@cloister/crypto';
import { pathOf } from '../binary-http/fetch-message.ts';
import { byteSequence, CALL_COMPONENTS, CALL_TAG, contentDigest } from './sign-call.ts';
import { signatureBase } from './signature-base.ts';
import { parseSignature, parseSignatureInput } from './signature-input.ts';

/** Why a call was refused; codes of the token's own verification come besides these. */
export type CallCode =
  | 'call_token_missing'
  | 'call_token_not_single'
  | 'call_signature_missing'
  | 'call_signature_malformed'
  | 'call_signature_scope'
  | 'call_encapsulation'
  | 'call_content_digest'
  | 'call_signature';

const CHECKS = [
  'exactly one attestation token',
  'exactly one call signature',
  'the signature covers the call',
  'made for this encapsulation',
  'content digest',
  'attestation token',
  'signature by the attested key',
] as const;

// A compact JWS is one token68-like word: a list of two tokens has a comma in it.
const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * Verifies who makes a call (design 5): one token, and a signature by the key in it over this call in
 * this encapsulation. The request's body can still be read afterwards.
 */
export async function verifyCall(
  request: Request,
  options: {
    /** SHA-256(enc ‖ key_config), from the gateway. */
    readonly binding: Bytes;
    readonly verifyToken: (token: string) => Promise<Verification<VerifiedCaller>>;
  },
): Promise<Verification<VerifiedCaller>> {
  const { headers } = request;
  const token = headers.get('attestation-token');
  if (token === null) return refuse(0, 'call_token_missing');
  if (!TOKEN.test(token)) return refuse(0, 'call_token_not_single');

  let call: SignedCall | CallCode;
  try {
    call = readSignature(headers);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return refuse(1, 'call_signature_malformed', [], error.message);
  }
  if (call === 'call_signature_scope') return refuse(2, call);
  if (typeof call === 'string') return refuse(1, call);

  if (headers.get('cloister-encapsulation') !== byteSequence(options.binding))
    return refuse(3, 'call_encapsulation');
  const content = new Uint8Array(await request.clone().arrayBuffer());
  if (headers.get('content-digest') !== contentDigest(await sha256(content)))
    return refuse(4, 'call_content_digest');

  const verified = await options.verifyToken(token);
  if (!verified.ok) return refuse(5, verified.code, verified.checks);
  const caller = verified.claims;
  if (!isVerified(caller)) return refuse(5, 'call_token_missing', verified.checks);

  const base = signatureBase(
    {
      method: request.method,
      target: pathOf(request),
      authority: new URL(request.url).host,
      field: (name) => headers.get(name) ?? undefined,
    },
    call.components,
    call.parameters,
  );
  if (!(await isSignedBy(caller, call.signature, base)))
    return refuse(6, 'call_signature', verified.checks);
  return { ok: true, claims: caller, checks: listChecks(CHECKS.length, verified.checks) };
}

interface SignedCall {
  readonly components: readonly string[];
  readonly parameters: string;
  readonly signature: Bytes;
}

function readSignature(headers: Headers): SignedCall | CallCode {
  const inputText = headers.get('signature-input');
  const signatureText = headers.get('signature');
  if (inputText === null || signatureText === null) return 'call_signature_missing';
  const [input, ...otherInputs] = parseSignatureInput(inputText);
  const [signature, ...others] = parseSignature(signatureText);
  if (input === undefined || signature === undefined) return 'call_signature_missing';
  if (otherInputs.length + others.length > 0 || input.label !== signature.label)
    return 'call_signature_malformed';
  const components = input.components.map(({ name }) => name);
  const exact =
    components.length === CALL_COMPONENTS.length &&
    CALL_COMPONENTS.every((name) => components.includes(name)) &&
    input.components.every(({ parameters }) => parameters === '');
  const algorithm = input.parameters.get('alg');
  if (!exact || input.parameters.get('tag') !== CALL_TAG) return 'call_signature_scope';
  if (algorithm !== undefined && algorithm !== 'ecdsa-p256-sha256') return 'call_signature_scope';
  return { components, parameters: input.raw, signature: signature.value };
}

async function isSignedBy(
  { sig }: VerifiedCaller,
  signature: Bytes,
  base: string,
): Promise<boolean> {
  const curve = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('spki', spkiFromJwk(sig), curve, false, ['verify']);
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  return crypto.subtle.verify(algorithm, key, signature, encodeUtf8(base));
}

/** The checks up to number `passed` as passed, with those of the token in their place. */
function listChecks(passed: number, ofToken: readonly Check[]): Check[] {
  return CHECKS.flatMap((check, i): readonly Check[] => {
    const own: Check = { check, outcome: i < passed ? 'passed' : 'skipped' };
    return i === 5 ? [...ofToken, own] : [own];
  });
}

function refuse(
  failed: number,
  code: string,
  ofToken: readonly Check[] = [],
  detail?: string,
): Verification<never> {
  const name = CHECKS[failed];
  const checks = listChecks(failed, ofToken).map(
    (line): Check =>
      line.check === name && line.outcome === 'skipped'
        ? { check: name, outcome: 'failed', code, ...(detail === undefined ? {} : { detail }) }
        : line,
  );
  return { ok: false, code, checks };
}
