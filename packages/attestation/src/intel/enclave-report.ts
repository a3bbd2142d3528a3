import { Reader, type Bytes } from '@cloister/bytes';

/** Length of an SGX enclave report body. */
export const ENCLAVE_REPORT_SIZE = 384;

/** An SGX enclave report body, also that of the QE (spec/evidence.md 1.3). */
export interface EnclaveReport {
  readonly cpuSvn: Bytes;
  readonly miscSelect: Bytes;
  readonly isvExtProdId: Bytes;
  /** 8 bytes of flags, then 8 bytes of XFRM. */
  readonly attributes: Bytes;
  readonly mrenclave: Bytes;
  readonly mrsigner: Bytes;
  readonly configId: Bytes;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly configSvn: number;
  readonly isvFamilyId: Bytes;
  readonly reportData: Bytes;
}

/** Reads the 384 bytes of an enclave report, as views; MalformedError for any other length. */
export function parseEnclaveReport(bytes: Bytes, name = 'enclave report'): EnclaveReport {
  const r = new Reader(bytes, name);
  const cpuSvn = r.view(16);
  const miscSelect = r.view(4);
  r.view(12); // reserved: the signature covers it, nothing is concluded from it
  const isvExtProdId = r.view(16);
  const attributes = r.view(16);
  const mrenclave = r.view(32);
  r.view(32);
  const mrsigner = r.view(32);
  r.view(32);
  const configId = r.view(64);
  const isvProdId = r.u16le();
  const isvSvn = r.u16le();
  const configSvn = r.u16le();
  r.view(42);
  const isvFamilyId = r.view(16);
  const reportData = r.view(64);
  r.end();
  return {
    cpuSvn,
    miscSelect,
    isvExtProdId,
    attributes,
    mrenclave,
    mrsigner,
    configId,
    isvProdId,
    isvSvn,
    configSvn,
    isvFamilyId,
    reportData,
  };
}
