import { verifySnpReport } from '@cloister/attestation';
import {
  decodePem,
  decodeUtf8,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { decodeLenientBase64 } from '../lenient-base64.ts';
import { AzureError } from '../azure-error.ts';
import { refusalOf } from '../refusal.ts';
import type { VerifyEvidence } from './verified-evidence.ts';

const LIMITS = { maxDepth: 8, maxLength: 1 << 20 };
const MOST_CERTIFICATES = 8;

/**
 * An SEV-SNP report with its certificates (spec/azure-attestation.md 1.4). UVM Endorsements are
 * taken and not looked at: no compliance status is claimed for them.
 */
export const verifySnp: VerifyEvidence = async (submitted, deps) => {
  const { cache, collateral, verificationTime } = deps;
  const { report, vek, ask, ark, product } = parseEvidence(submitted);
  const result = await verifySnpReport(report, {
    vek,
    ask,
    ark,
    // Without one nothing is known of revocation, and the check is listed as skipped.
    crl: collateral.amdCrl(product),
    at: verificationTime(),
    cache,
    crypto: NODE_EVIDENCE_CRYPTO,
  });
  if (!result.ok) throw refusalOf(result.code, result.checks);
  const { claims, checks } = result;
  return {
    claims,
    checks,
    objects: {},
    heldDataNames: ['x-ms-sevsnpvm-ehd'],
    reportData: claims.reportData,
    initTimeRegister: claims.hostData,
  };
};

interface SnpEvidence {
  readonly report: Bytes;
  readonly vek: Bytes;
  readonly ask: Bytes | undefined;
  readonly ark: Bytes | undefined;
  /** As its certificates say: `Milan`. */
  readonly product: string;
}

function parseEvidence(submitted: Bytes): SnpEvidence {
  try {
    const json = parseJsonObject(decodeUtf8(submitted, 'report').trim(), 'report', LIMITS);
    const report = decodeLenientBase64(textOf(json, 'SnpReport'), 'SnpReport');
    const pem = decodeUtf8(decodeLenientBase64(textOf(json, 'VcekCertChain'), 'VcekCertChain'));
    return { report, ...sortChain(decodePem(pem, 'CERTIFICATE', 'VcekCertChain')) };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw refusalOf('snp.format');
  }
}

function textOf(json: JsonObject, member: string): string {
  const value = json[member];
  if (typeof value === 'string' && value !== '') return value;
  throw new AzureError('InvalidParameter', `report: ${member} required`, 'no_evidence');
}

/** By the names that AMD gives: `ARK-Milan` is the root, `SEV-Milan` the intermediate. */
function sortChain(chain: readonly Bytes[]): Omit<SnpEvidence, 'report'> {
  if (chain.length > MOST_CERTIFICATES) throw new MalformedError('too_large', 'VcekCertChain');
  let ask: Bytes | undefined;
  let ark: Bytes | undefined;
  let vek: Bytes | undefined;
  let product = '';
  for (const der of chain) {
    const name = parseCertificate(der, 'VcekCertChain').subjectCommonName ?? '';
    product ||= /^(?:ARK|SEV)-(?:VLEK-)?(\w+)$/.exec(name)?.[1] ?? '';
    if (name.startsWith('ARK-')) ark ??= der;
    else if (/^SEV(?:-VLEK)?-(?:Milan|Genoa|Turin)/.test(name)) ask ??= der;
    else vek ??= der;
  }
  if (vek === undefined) throw new MalformedError('truncated', 'VcekCertChain');
  return { vek, ask, ark, product };
}
