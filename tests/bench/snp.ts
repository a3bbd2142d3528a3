import { readFileSync } from 'node:fs';
import {
  parseSnpReport,
  VerificationCache,
  verifySnpReport,
  type SnpCrypto,
  type SnpReportOptions,
} from '@cloister/attestation';
import { asBytes, concatBytes } from '@cloister/bytes';
import { parseCertificate, parsePublicKey } from '@cloister/crypto';
import { shared } from '../shared.ts';
import type { Report } from './figure.ts';
import { measure, type Task } from './measure.ts';
import {
  importP384,
  importSpki,
  NODE_SNP_CRYPTO,
  verifyP384,
  verifyPss,
} from './node-snp-crypto.ts';

const SUBJECTS = [
  { label: 'SNP Milan v3', product: 'Milan', name: 'microsoft-milan-attestation-report-e75e8d' },
  { label: 'SNP Genoa v3', product: 'Genoa', name: 'microsoft-genoa-attestation-report-4ae0e7' },
  { label: 'SNP Turin v5', product: 'Turin', name: 'microsoft-turin-attestation-report-85da70' },
] as const;
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
    const rates = await measure(
      new Map([
        ['floor', createFloor(evidence, chain, false)],
        ['floor new', createFloor(evidence, chain, true)],
        ['cached', warm(NODE_SNP_CRYPTO, false)],
        ['new', warm(NODE_SNP_CRYPTO, true)],
        ['web', warm(undefined, false)],
        ['web new', warm(undefined, true)],
      ]),
    );
    const rate = (task: string): number => rates.get(task) ?? Number.NaN;
    const unit = 'verifications/s';
    const cached = '1 P-384 verification';
    const anew = '1 P-384 and 1 RSA-PSS verification + 1 key import';
    const show = (figure: string, task: string, floor: string, against: string) => {
      const value = rate(task);
      report({ name: `${label}: ${figure}`, value, unit, ratio: value / rate(floor), against });
    };
    report({ name: `${label}: floor, node:crypto`, value: rate('floor'), unit });
    show('VCEK cached', 'cached', 'floor', cached);
    show('VCEK cached, WebCrypto', 'web', 'floor', cached);
    report({ name: `${label}: floor of a new VCEK, node:crypto`, value: rate('floor new'), unit });
    show('new VCEK', 'new', 'floor new', anew);
    show('new VCEK, WebCrypto', 'web new', 'floor new', anew);
  }
}

function read(path: string): Uint8Array<ArrayBuffer> {
  return asBytes(readFileSync(shared(`vectors/${path}`)));
}

/** The signatures over this report and this certificate, their keys imported before. */
function createFloor(
  evidence: Uint8Array,
  { vek, ask }: { readonly vek: Uint8Array; readonly ask: Uint8Array },
  isNew: boolean,
): Task {
  const { signature, signed } = parseSnpReport(evidence);
  const certificate = parseCertificate(vek);
  const publicKey = parsePublicKey(certificate.spki);
  if (publicKey.type !== 'ec') throw new RangeError('VCEK without an EC key');
  const point = concatBytes(publicKey.x, publicKey.y);
  const known = importP384(point);
  const issuer = importSpki(parseCertificate(ask).spki);
  return () => {
    const key = isNew ? importP384(point) : known;
    const certified =
      !isNew || (issuer !== undefined && verifyPss(issuer, certificate.signature, certificate.tbs));
    return certified && key !== undefined && verifyP384(key, signature, signed);
  };
}
