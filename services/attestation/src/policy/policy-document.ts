import { createHash } from 'node:crypto';
import { compilePolicy, PolicyParsingError, type CompiledPolicy } from '@cloister/attestation';
import { decodeUtf8, MalformedError, parseJsonObject, type Bytes } from '@cloister/bytes';
import { AzureError } from '../azure-error.ts';
import { decodeLenientBase64 } from '../lenient-base64.ts';
import { JMES_PATH } from './jmespath.ts';

/** A policy that may be put in force. */
export interface PolicyDocument {
  readonly policy: CompiledPolicy;
  /** `x-ms-policy-hash`. */
  readonly hash: string;
}

const LIMITS = { maxDepth: 4, maxLength: 1 << 20 };

/**
 * The policy of a JWS payload, `{"AttestationPolicy": base64url}` (spec/azure-attestation.md 2.2).
 * The hash is that of the member as it came; a text in quotation marks, as a sample tool of
 * Microsoft's makes it, is read without them and hashed with them.
 */
export function readPolicyPayload(payload: Bytes): PolicyDocument {
  const encoded = readClaim(payload);
  const bytes = decodeLenientBase64(encoded, 'AttestationPolicy');
  let text: string;
  try {
    text = decodeUtf8(bytes, 'AttestationPolicy');
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new AzureError('InvalidOperation', 'AttestationPolicy: not UTF-8', 'bad_policy');
  }
  return { policy: compile(unquote(text)), hash: hashOf(encoded) };
}

/** A policy that comes as text: a draft, or a default. */
export function readPolicyText(text: string): PolicyDocument {
  return { policy: compile(text), hash: hashOf(Buffer.from(text).toString('base64url')) };
}

function readClaim(payload: Bytes): string {
  try {
    const json = parseJsonObject(decodeUtf8(payload, 'payload'), 'payload', LIMITS);
    const encoded = json['AttestationPolicy'];
    if (typeof encoded === 'string') return encoded;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw new AzureError(
    'InvalidOperation',
    'The JWT does not contain the AttestationPolicy claim',
    'bad_policy',
  );
}

function compile(text: string): CompiledPolicy {
  try {
    return compilePolicy(text, { jmesPath: JMES_PATH });
  } catch (error) {
    if (!(error instanceof PolicyParsingError)) throw error;
    throw new AzureError('PolicyParsingError', error.message, error.code);
  }
}

function unquote(text: string): string {
  if (!/^".*"$/s.test(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : text;
  } catch {
    // No JSON string after all: the parser says what is wrong with it.
    return text;
  }
}

function hashOf(encoded: string): string {
  return createHash('sha256').update(encoded).digest('base64url');
}
