import { decodeHex, Writer, type Bytes } from '@cloister/bytes';

/** What stands in a simulated enclave report; the rest is zero. */
export interface ReportFacts {
  /** 32 bytes, lower hex. */
  readonly mrenclave: string;
  /** 32 bytes, lower hex. */
  readonly mrsigner: string;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** False unless told. */
  readonly debug?: boolean;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
}

/** Flags of ATTRIBUTES: INIT and MODE64BIT, and DEBUG. */
const INIT_MODE64 = 0x05;
const DEBUG = 0x02;
/** XFRM of an enclave with x87, SSE, AVX, AVX-512 and PKRU state. */
const XFRM = 0xe7n;

/** Every component of the simulated platform's TCB. */
export const SIMULATED_CPU_SVN: readonly number[] = Array.from({ length: 16 }, (_, i) =>
  i < 8 ? 5 : 0,
);

/** The 384 bytes of an enclave report (spec/evidence.md 1.3); RangeError for bad lengths. */
export function encodeEnclaveReport(facts: ReportFacts): Bytes {
  return new Writer()
    .bytes(Uint8Array.from(SIMULATED_CPU_SVN))
    .u32le(0) // MISCSELECT
    .bytes(new Uint8Array(28))
    .u64le(BigInt(INIT_MODE64 | (facts.debug === true ? DEBUG : 0)))
    .u64le(XFRM)
    .bytes(sized(decodeHex(facts.mrenclave, 'MRENCLAVE'), 32))
    .bytes(new Uint8Array(32))
    .bytes(sized(decodeHex(facts.mrsigner, 'MRSIGNER'), 32))
    .bytes(new Uint8Array(96)) // with CONFIGID
    .u16le(facts.isvProdId)
    .u16le(facts.isvSvn)
    .bytes(new Uint8Array(60))
    .bytes(sized(facts.reportData, 64))
    .finish();
}

function sized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${length} bytes are needed`);
  return bytes;
}
