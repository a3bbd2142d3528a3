import { readFileSync } from 'node:fs';
import {
  VerificationCache,
  verifySnpReport,
  type SnpCrypto,
  type SnpReportOptions,
} from '@cloister/attestation';
import { asBytes, type Bytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { shared } from '../shared.ts';
import type { Report } from './figure.ts';
import { measure, type Task } from './measure.ts';
import { ecdsa, floorOf, rsaPss } from './public-key-floor.ts';

const SUBJECTS = [
  { label: 'SNP Milan v3', product: 'Milan', name: 'microsoft-milan-attestation-report-e75e8d' },
  { label: 'SNP Genoa v3', product: 'Genoa', name: 'microsoft-genoa-attestation-report-4ae0e7' },
  { label: 'SNP Turin v5', product: 'Turin', name: 'microsoft-turin-attestation-report-85da70' },
] as const;
/** What a VCEK signs of a report, and about what an ASK signs of a VCEK's certificate. */
const SIGNED_BYTES = 672;
const VCEK_BYTES = 800;
/** When all three are in date. */
const AT = new Date(1_786_025_107_000);

/**
 * SNP reports verified per second on one core: with the VCEK cached, and with one never seen
 * before, against the signatures that no verifier can avoid.
 */
export async function runSnp(report: Report): Promise<void> {
  for (const { label, product, name } of SUBJECTS) {
    const evidence = read(`snp/reports/${name}.bin`);
    const chain = {
      vek: read(`snp/certs/${name}.vcek.der`),
      ask: read(`roots/amd-SEV-${product}.der`),
      ark: read(`roots/amd-ARK-${product}.der`),
    };
    const warm = (crypto: SnpCrypto | undefined, forget: boolean): Task => {
      const cache = new VerificationCache();
      const options: SnpReportOptions = { ...chain, at: AT, cache, ...(crypto ? { crypto } : {}) };
      return async () => {
        if (forget) cache.veks.clear();
        return (await verifySnpReport(evidence, options)).ok;
      };
    };
    const peer = product === 'Milan' ? await litPeer(evidence, chain.vek) : undefined;
    const { rate, ratio } = await measure(
      new Map([
        ...(peer === undefined ? [] : [['peer', peer] as const]),
        ['floor', floorOf(...ecdsa('P-384', { known: [SIGNED_BYTES] }))],
        ['cached', warm(NODE_EVIDENCE_CRYPTO, false)],
        ['web', warm(undefined, false)],
        ['floor new', floorOf(rsaPss(VCEK_BYTES), ...ecdsa('P-384', { fresh: [SIGNED_BYTES] }))],
        ['new', warm(NODE_EVIDENCE_CRYPTO, true)],
        ['web new', warm(undefined, true)],
      ]),
    );
    const unit = 'verifications/s';
    const show = (figure: string, task: string, to: string, against: string): void => {
      const value = rate(task);
      report({ name: `${label}: ${figure}`, value, unit, ratio: ratio(task, to), against });
    };
    const one = '1 P-384 verification';
    report({ name: `${label}: floor of VCEK cached`, value: rate('floor'), unit });
    show('VCEK cached', 'cached', 'floor', one);
    show('VCEK cached, WebCrypto', 'web', 'floor', one);
    if (peer !== undefined) {
      const sdk = '@lit-protocol/sev-snp-utils-sdk';
      report({ name: `${label}: ${sdk}`, value: rate('peer'), unit });
      show('VCEK cached', 'cached', 'peer', sdk);
      show('new VCEK', 'new', 'peer', sdk);
    }
    const anew = '1 P-384 + 1 RSA-PSS-4096 verification + 1 key import';
    report({ name: `${label}: floor of new VCEK`, value: rate('floor new'), unit });
    show('new VCEK', 'new', 'floor new', anew);
    show('new VCEK, WebCrypto', 'web new', 'floor new', anew);
  }
}

interface LitSdk {
  initWasmSevSnpUtilsSdk(): Promise<unknown>;
  /** Throws where it refuses. */
  verify_attestation_report(report: string, vcek: Uint8Array): Promise<void>;
}

/** The JavaScript peer (WebAssembly inside): a Milan report with its VCEK is what it reads. */
async function litPeer(report: Bytes, vek: Bytes): Promise<Task> {
  const loaded: unknown = await import('@lit-protocol/sev-snp-utils-sdk');
  const { default: lit } = loaded as { readonly default: LitSdk };
  await lit.initWasmSevSnpUtilsSdk();
  const text = Buffer.from(report).toString('base64');
  return async () => {
    await lit.verify_attestation_report(text, vek);
    return true;
  };
}

function read(path: string): Bytes {
  return asBytes(readFileSync(shared(`vectors/${path}`)));
}
