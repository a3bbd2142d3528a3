import { copyBytes, equalBytes, MalformedError, Reader, type Bytes } from '@cloister/bytes';
import { ENCLAVE_REPORT_SIZE } from './enclave-report.ts';

/** Intel's vendor id, the only one whose Quoting Enclave the collateral describes. */
const INTEL_QE_VENDOR = Uint8Array.of(
  0x93,
  0x9a,
  0x72,
  0x33,
  0xf7,
  0x9c,
  0x4c,
  0xa9,
  0x94,
  0x0a,
  0x0d,
  0xb3,
  0x95,
  0x7f,
  0x06,
  0x07,
);
const ECDSA_P256 = 2;
const TEES = new Map<number, 'sgx' | 'tdx'>([
  [0x00, 'sgx'],
  [0x81, 'tdx'],
]);
const BODY_SIZES: Readonly<Record<BodyType, number>> = {
  1: ENCLAVE_REPORT_SIZE,
  2: 584,
  3: 648,
  4: 885,
};
const QE_REPORT_CERTIFICATION_DATA = 6;
/** Behind so much there can only be padding: it is counted, not copied. */
const MAX_QUOTE = 1024 * 1024;

/** The kind of a quote's body: 1 SGX enclave report, 2 to 4 TD reports (spec/evidence.md 1.2). */
export type BodyType = 1 | 2 | 3 | 4;

/** The end of the signature data that leads to the PCK certificate (spec/evidence.md 1.6). */
export interface CertificationData {
  readonly type: 1 | 2 | 3 | 4 | 5;
  readonly data: Bytes;
}

/**
 * A quote by Intel's Quoting Enclave, version 3, 4 or 5 (spec/evidence.md 1). Its parts are views of
 * one copy, which nobody writes to.
 */
export interface Quote {
  readonly version: 3 | 4 | 5;
  readonly tee: 'sgx' | 'tdx';
  readonly bodyType: BodyType;
  readonly body: Bytes;
  /** Header, descriptor (v5) and body: what the attestation key signs. */
  readonly signed: Bytes;
  readonly signature: Bytes;
  /** x‖y. */
  readonly attestationKey: Bytes;
  readonly qeReport: Bytes;
  readonly qeReportSignature: Bytes;
  readonly qeAuthData: Bytes;
  /** As they lie in the quote, from the attestation key to the QE's authentication data. */
  readonly endorsement: Bytes;
  readonly certificationData: CertificationData;
  /** Bytes after the signature data; nothing covers them. */
  readonly trailingBytes: number;
}

/**
 * Reads a quote: every declared length is within its container and consumes it exactly, except
 * that bytes after the signature data are counted and dropped (real quotes come padded).
 */
export function parseQuote(bytes: Uint8Array): Quote {
  const own = copyBytes(bytes.subarray(0, MAX_QUOTE));
  const r = new Reader(own, 'quote');
  const version = parseVersion(r);
  if (r.u16le() !== ECDSA_P256) r.fail('bad_value');
  const tee = TEES.get(r.u32le()) ?? r.fail('bad_value');
  r.view(4); // QE SVN and PCE SVN (v3), reserved (v4, v5): the QE report is what counts
  if (!equalBytes(r.view(16), INTEL_QE_VENDOR)) r.fail('bad_value');
  r.view(20);
  const bodyType = parseBodyType(r, version, tee);
  const body = r.view(BODY_SIZES[bodyType]);
  const signed = own.subarray(0, r.position);
  const auth = new Reader(r.view(r.u32le()), 'quote signature data');
  const signature = auth.view(64);
  const attestationKey = auth.view(64);
  const rest = version === 3 ? parseQeReport(auth) : parseWrappedQeReport(auth);
  const { byteOffset, length } = rest.qeAuthData;
  return {
    version,
    tee,
    bodyType,
    body,
    signed,
    signature,
    attestationKey,
    ...rest,
    endorsement: own.subarray(attestationKey.byteOffset, byteOffset + length),
    trailingBytes: r.remaining + bytes.length - own.length,
  };
}

function parseVersion(r: Reader): 3 | 4 | 5 {
  const version = r.u16le();
  if (version !== 3 && version !== 4 && version !== 5) r.fail('bad_value');
  return version;
}

function parseBodyType(r: Reader, version: 3 | 4 | 5, tee: 'sgx' | 'tdx'): BodyType {
  if (version < 5) {
    if (version === 3 && tee !== 'sgx') r.fail('bad_value');
    return tee === 'sgx' ? 1 : 2;
  }
  const type = r.u16le();
  if (type !== 1 && type !== 2 && type !== 3 && type !== 4) r.fail('bad_value');
  if ((type === 1) !== (tee === 'sgx')) r.fail('bad_value');
  if (r.u32le() !== BODY_SIZES[type]) r.fail('bad_value');
  return type;
}

type QeReportPart = Pick<
  Quote,
  'qeReport' | 'qeReportSignature' | 'qeAuthData' | 'certificationData'
>;

/** v4 and v5 put everything from the QE report on into certification data of type 6. */
function parseWrappedQeReport(r: Reader): QeReportPart {
  if (r.u16le() !== QE_REPORT_CERTIFICATION_DATA) r.fail('bad_value');
  const inner = new Reader(r.view(r.u32le()), 'QE report certification data');
  r.end();
  return parseQeReport(inner);
}

function parseQeReport(r: Reader): QeReportPart {
  const qeReport = r.view(ENCLAVE_REPORT_SIZE);
  const qeReportSignature = r.view(64);
  const qeAuthData = r.view(r.u16le());
  const type = r.u16le();
  if (type !== 1 && type !== 2 && type !== 3 && type !== 4 && type !== 5) r.fail('bad_value');
  const data = r.view(r.u32le());
  r.end();
  if (type < 4 && data.length !== 404) {
    throw new MalformedError('bad_value', 'quote: PPID certification data');
  }
  return { qeReport, qeReportSignature, qeAuthData, certificationData: { type, data } };
}
