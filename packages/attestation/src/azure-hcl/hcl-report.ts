import { isZero, MalformedError, Reader, type Bytes } from '@cloister/bytes';

const NAME = 'HCL report';
/** "HCLA" */
const MAGIC = 0x414c_4348;
const HEADER_SIZE = 32;
const AREA_SIZE = 1184;
const TDREPORT_SIZE = 1024;
const RUNTIME_HEADER_SIZE = 20;
/** NV index 0x01400001 holds 2600 bytes today; more than this is no HCL report. */
const MAX_SIZE = 64 * 1024;
const SNP_REPORT_DATA = 0x50;
const TDX_REPORT_DATA = 128;

const TEES = new Map<number, 'snp' | 'tdx'>([
  [2, 'snp'],
  [4, 'tdx'],
]);
const HASHES = new Map<number, 'SHA-256' | 'SHA-384' | 'SHA-512'>([
  [1, 'SHA-256'],
  [2, 'SHA-384'],
  [3, 'SHA-512'],
]);

/** What the paravisor of an Azure confidential VM keeps in its vTPM, as read (spec/evidence.md 10). */
export interface HclReport {
  readonly headerVersion: number;
  readonly payloadSize: number;
  readonly requestType: number;
  readonly tee: 'snp' | 'tdx';
  readonly hash: 'SHA-256' | 'SHA-384' | 'SHA-512';
  readonly runtimeDataSize: number;
  /** The 1184 bytes with the hardware report in them. */
  readonly reportArea: Bytes;
  /** An SNP report; or a TDREPORT, which is only MACed: nobody but its own machine can verify it. */
  readonly hardwareReport: Bytes;
  /** The 64 bytes that the hardware report carries. */
  readonly reportData: Bytes;
  /** The exact bytes that were hashed: UTF-8 JSON. */
  readonly runtimeClaims: Bytes;
}

/**
 * Reads an HCL report. MalformedError where lengths disagree, or a byte is set that must be zero:
 * nothing around the hardware report and the claims is covered by a signature.
 */
export function parseHclReport(bytes: Uint8Array): HclReport {
  if (bytes.length > MAX_SIZE) throw new MalformedError('too_large', NAME);
  const r = new Reader(bytes, NAME);
  if (r.u32le() !== MAGIC) r.fail('bad_value');
  const headerVersion = r.u32le();
  if (headerVersion !== 1 && headerVersion !== 2) r.fail('bad_value');
  const payloadSize = r.u32le();
  const requestType = r.u32le();
  if (requestType !== 2) r.fail('bad_value');
  skipZeros(r, 4 + 12); // status, reserved
  const area = r.bytes(AREA_SIZE);
  const runtimeDataSize = r.u32le();
  if (r.u32le() !== 1) r.fail('bad_value');
  const tee = TEES.get(r.u32le()) ?? r.fail('bad_value');
  const hash = HASHES.get(r.u32le()) ?? r.fail('bad_value');
  const claimsSize = r.u32le();
  if (runtimeDataSize !== RUNTIME_HEADER_SIZE + claimsSize) r.fail('bad_value');
  if (payloadSize !== HEADER_SIZE + AREA_SIZE + runtimeDataSize) r.fail('bad_value');
  const runtimeClaims = r.bytes(claimsSize);
  skipZeros(r, r.remaining);
  const at = tee === 'snp' ? SNP_REPORT_DATA : TDX_REPORT_DATA;
  const used = tee === 'snp' ? AREA_SIZE : TDREPORT_SIZE;
  if (!isZero(area.subarray(used))) throw new MalformedError('bad_value', `${NAME}: report area`);
  return {
    headerVersion,
    payloadSize,
    requestType,
    tee,
    hash,
    runtimeDataSize,
    reportArea: area,
    hardwareReport: area.subarray(0, used),
    reportData: area.subarray(at, at + 64),
    runtimeClaims,
  };
}

function skipZeros(r: Reader, length: number): void {
  if (!isZero(r.bytes(length))) r.fail('bad_value');
}
