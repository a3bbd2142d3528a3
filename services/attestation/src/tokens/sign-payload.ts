import { canonicalJson, type JsonObject } from '@cloister/bytes';
import type { SigningKey } from '../keys/signing-key.ts';

/** Encodes the header of a key's tokens, once per key. */
const HEADERS = new WeakMap<SigningKey, Map<string, string>>();

/**
 * A token in the form of Azure Attestation's (spec/azure-attestation.md 3.1): members of header and
 * payload in ascending order, no key in the header. `unsigned` is what a draft policy earns: `alg`
 * none, and an empty signature.
 */
export function signPayload(
  payload: JsonObject,
  key: SigningKey,
  { baseUrl, unsigned = false }: { readonly baseUrl: string; readonly unsigned?: boolean },
): string {
  const header = headerOf(key, baseUrl, unsigned ? 'none' : key.alg);
  const input = `${header}.${Buffer.from(canonicalJson(payload)).toString('base64url')}`;
  return unsigned ? `${input}.` : `${input}.${key.sign(input)}`;
}

function headerOf(key: SigningKey, baseUrl: string, alg: string): string {
  let headers = HEADERS.get(key);
  if (headers === undefined) HEADERS.set(key, (headers = new Map()));
  const id = `${alg} ${baseUrl}`;
  let header = headers.get(id);
  if (header === undefined) {
    const json = canonicalJson({ alg, jku: `${baseUrl}/certs`, kid: key.kid, typ: 'JWT' });
    header = Buffer.from(json).toString('base64url');
    headers.set(id, header);
  }
  return header;
}
