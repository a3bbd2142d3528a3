import { type Bytes, encodeBase64, encodeBase64url, encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { pathOf } from '../binary-http/fetch-message.ts';
import type { Field } from '../binary-http/message.ts';
import { signatureBase } from './signature-base.ts';

/** The `tag` of a call's signature (design 5): it cannot be taken for any other signature. */
export const CALL_TAG = 'cloister-call';
/** The label of the signature: carries no meaning (RFC 9421 section 4.1). */
const LABEL = 'cloister';
/** What a call's signature covers: these and nothing else (design 5). */
export const CALL_COMPONENTS: readonly string[] = [
  '@method',
  '@path',
  'content-digest',
  'attestation-token',
  'cloister-encapsulation',
];
const REPLACED = new Set([...CALL_COMPONENTS, 'signature-input', 'signature']);

/** How a service proves who calls: its attested `sig` key and its newest token. */
export interface CallSigner {
  readonly key: CryptoKey;
  readonly token: () => Promise<string>;
}

/** The fields of a request with those that prove the caller added (design 5, RFC 9421). */
export async function signCall(
  request: Request,
  content: Bytes,
  fields: readonly Field[],
  options: {
    readonly signer: CallSigner;
    /** SHA-256(enc ‖ key_config) of the encapsulation that will carry the request. */
    readonly binding: Bytes;
    readonly created: Date;
    readonly random: (length: number) => Bytes;
  },
): Promise<readonly Field[]> {
  const { signer, binding, created, random } = options;
  const covered: readonly Field[] = [
    ['content-digest', contentDigest(await sha256(content))],
    ['attestation-token', await signer.token()],
    ['cloister-encapsulation', byteSequence(binding)],
  ];
  const components = CALL_COMPONENTS.map((name) => `"${name}"`).join(' ');
  const seconds = Math.floor(created.getTime() / 1000);
  const parameters = `(${components});created=${seconds};nonce="${encodeBase64url(random(16))}";alg="ecdsa-p256-sha256";tag="${CALL_TAG}"`;
  const base = signatureBase(
    {
      method: request.method,
      target: pathOf(request),
      authority: '',
      field: (name) => covered.find(([covers]) => covers === name)?.[1],
    },
    CALL_COMPONENTS,
    parameters,
  );
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, signer.key, encodeUtf8(base));
  return [
    ...fields.filter(([name]) => !REPLACED.has(name)),
    ...covered,
    ['signature-input', `${LABEL}=${parameters}`],
    ['signature', `${LABEL}=${byteSequence(new Uint8Array(signature))}`],
  ];
}

/** Content-Digest with SHA-256 (RFC 9530 section 2). */
export function contentDigest(digest: Bytes): string {
  return `sha-256=${byteSequence(digest)}`;
}

/** A byte sequence of RFC 8941 section 3.3.5. */
export function byteSequence(bytes: Bytes): string {
  return `:${encodeBase64(bytes)}:`;
}
