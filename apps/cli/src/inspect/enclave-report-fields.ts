import { bitNames, littleEndian, type FieldReader } from './field-reader.ts';

const FLAGS = new Map([
  [0, 'INIT'],
  [1, 'DEBUG: its memory can be read'],
  [2, 'MODE64BIT'],
  [4, 'PROVISIONKEY'],
  [5, 'EINITTOKENKEY'],
  [7, 'KSS'],
  [10, 'AEXNOTIFY'],
]);
const XFRM = new Map([
  [0, 'x87'],
  [1, 'SSE'],
  [2, 'AVX'],
  [5, 'AVX-512 opmask'],
  [6, 'AVX-512 ZMM_Hi256'],
  [7, 'AVX-512 Hi16_ZMM'],
  [9, 'PKRU'],
  [17, 'AMX TILECFG'],
  [18, 'AMX TILEDATA'],
]);

/** An SGX enclave report body, 384 bytes (spec/evidence.md 1.3). */
export function readEnclaveReport(r: FieldReader): void {
  r.bytes('CPUSVN', 16);
  r.bytes('MISCSELECT', 4, (value) =>
    (value[0] ?? 0) & 1 ? 'EXINFO: page faults are reported' : undefined,
  );
  r.reserved(12);
  r.bytes('ISVEXTPRODID', 16);
  r.bytes('ATTRIBUTES flags', 8, (value) => bitNames(littleEndian(value), FLAGS));
  r.bytes('ATTRIBUTES XFRM', 8, (value) => bitNames(littleEndian(value), XFRM));
  r.bytes('MRENCLAVE', 32, () => 'the code');
  r.reserved(32);
  r.bytes('MRSIGNER', 32, () => 'who signed it');
  r.reserved(32);
  r.bytes('CONFIGID', 64);
  r.u16('ISVPRODID');
  r.u16('ISVSVN');
  r.u16('CONFIGSVN');
  r.reserved(42);
  r.bytes('ISVFAMILYID', 16);
  r.bytes('REPORTDATA', 64, reportDataMeaning);
}

/** What 64 bytes of report data look like. */
export function reportDataMeaning(value: Uint8Array): string | undefined {
  if (value.every((byte) => byte === 0)) return 'zero: bound to nothing';
  const rest = value.subarray(32);
  if (rest.every((byte) => byte === 0)) return 'first half only: perhaps a SHA-256';
  return /^[\x20-\x7e]+\0*$/.test(latin1(value)) ? `text: ${latin1(value).trimEnd()}` : undefined;
}

function latin1(value: Uint8Array): string {
  return String.fromCharCode(...value).replaceAll('\0', ' ');
}
