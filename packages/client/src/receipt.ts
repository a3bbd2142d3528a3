import { decodeUtf8, MalformedError, parseJsonObject } from '@cloister/bytes';
import type { Check, Verification } from '@cloister/attestation';
import { parseJws, verifyJws, type Jwk } from '@cloister/crypto';
import { numberOf, textOf } from './fields.ts';

/** What attested code states about one answer (design 3.5). */
export interface Receipt {
  readonly model: string;
  readonly modelDigest: string;
  readonly inputDigest: string;
  readonly outputDigest: string;
  readonly requestId: string;
  readonly manifest: string;
  readonly evidenceDigest: string;
  readonly simulated: boolean;
  /** Seconds since 1970. */
  readonly iat: number;
}

/** The receipt's own purpose (RFC 8725, section 3.11). */
export const RECEIPT_TYPE = 'cloister-receipt+jwt';

/** What a receipt must say: everything that the caller knows for itself. */
export interface ExpectedReceipt {
  /** The `sig` key of the peer that was verified before the image was sent. */
  readonly sig: Jwk;
  readonly model: string;
  readonly modelDigest: string;
  readonly inputDigest: string;
  readonly outputDigest: string;
  readonly requestId: string;
  /** The manifest by which the peer runs; several where one is bridged to the next. */
  readonly manifest: string | readonly string[];
  readonly simulated: boolean;
  /** Compared where given: a service may answer several callers with different evidence. */
  readonly evidenceDigest?: string;
  readonly at: Date;
  /** How far `iat` may lie from `at`; 300 s unless told. */
  readonly toleranceSeconds?: number;
}

/** Reads a receipt without verifying it: for display only. */
export function parseReceipt(receipt: string): Receipt {
  const { payload } = parseJws(receipt);
  const claims = parseJsonObject(decodeUtf8(payload, 'receipt'), 'receipt');
  const simulated = claims['simulated'];
  if (typeof simulated !== 'boolean') throw new MalformedError('bad_value', 'simulated');
  return {
    model: textOf(claims, 'model'),
    modelDigest: textOf(claims, 'modelDigest'),
    inputDigest: textOf(claims, 'inputDigest'),
    outputDigest: textOf(claims, 'outputDigest'),
    requestId: textOf(claims, 'requestId'),
    manifest: textOf(claims, 'manifest'),
    evidenceDigest: textOf(claims, 'evidenceDigest'),
    simulated,
    iat: numberOf(claims, 'iat'),
  };
}

/**
 * Whether the attested peer signed exactly this answer to exactly this request. A receipt proves
 * that attested code gave this output for this tensor; not that it is right, nor whose image it was.
 */
export async function verifyReceipt(
  receipt: string,
  expected: ExpectedReceipt,
): Promise<Verification<Receipt>> {
  const checks: Check[] = [];
  const note = (check: string, passed: boolean, code: string, detail?: string): void => {
    if (passed) checks.push({ check, outcome: 'passed' });
    else
      checks.push({ check, outcome: 'failed', code, ...(detail === undefined ? {} : { detail }) });
  };

  let claims: Receipt;
  try {
    claims = parseReceipt(receipt);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    note('receipt format', false, 'receipt_malformed', error.where);
    return { ok: false, code: 'receipt_malformed', checks };
  }
  note('receipt format', true, 'receipt_malformed');

  const signature = await verifyJws(receipt, {
    key: expected.sig,
    algs: ['ES256'],
    typ: RECEIPT_TYPE,
  });
  note(
    'signed by the verified peer',
    signature.ok,
    'receipt_signature',
    signature.ok ? undefined : signature.code,
  );
  note('model', claims.model === expected.model, 'receipt_model');
  note('model digest', claims.modelDigest === expected.modelDigest, 'receipt_model_digest');
  note('input digest', claims.inputDigest === expected.inputDigest, 'receipt_input_digest');
  note('output digest', claims.outputDigest === expected.outputDigest, 'receipt_output_digest');
  note('request', claims.requestId === expected.requestId, 'receipt_request');
  note('manifest', [expected.manifest].flat().includes(claims.manifest), 'receipt_manifest');
  note('kind of evidence', claims.simulated === expected.simulated, 'receipt_simulated');
  if (expected.evidenceDigest === undefined)
    checks.push({ check: 'evidence', outcome: 'skipped', detail: 'not compared' });
  else note('evidence', claims.evidenceDigest === expected.evidenceDigest, 'receipt_evidence');
  const age = Math.abs(expected.at.getTime() / 1000 - claims.iat);
  note('time', age <= (expected.toleranceSeconds ?? 300), 'receipt_time');

  const failed = checks.find((check) => check.outcome === 'failed');
  if (failed !== undefined) return { ok: false, code: failed.code ?? 'receipt_malformed', checks };
  return { ok: true, claims, checks };
}
