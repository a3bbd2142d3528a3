import { isZero } from '@cloister/bytes';
import { reportDataMeaning } from './enclave-report-fields.ts';
import { bitNames, littleEndian, type FieldReader } from './field-reader.ts';

const TD_ATTRIBUTES = new Map([
  [0, 'DEBUG: its memory can be read'],
  [27, 'LASS'],
  [28, 'SEPT_VE_DISABLE'],
  [29, 'MIGRATABLE'],
  [30, 'PKS'],
  [31, 'KL'],
  [63, 'PERFMON'],
]);
const XFAM = new Map([
  [0, 'x87'],
  [1, 'SSE'],
  [2, 'AVX'],
  [5, 'AVX-512 opmask'],
  [6, 'AVX-512 ZMM_Hi256'],
  [7, 'AVX-512 Hi16_ZMM'],
  [8, 'PT'],
  [9, 'PKRU'],
  [11, 'CET_U'],
  [12, 'CET_S'],
  [14, 'ULI'],
  [15, 'LBR'],
  [17, 'AMX TILECFG'],
  [18, 'AMX TILEDATA'],
]);
const MAX_TYPE = { td10: 2, td15: 3, td15Extended: 4 } as const;

/** A TD report body of a quote: 584, 648 or 885 bytes (spec/evidence.md 1.4). */
export function readTdReport(r: FieldReader, bodyType: number): void {
  r.bytes('TEE_TCB_SVN', 16, (value) => `${moduleSvn(value)}, at launch`);
  r.bytes('MRSEAM', 48, () => 'the TDX module');
  r.bytes('MRSIGNERSEAM', 48, (value) => (isZero(value) ? 'zero: Intel' : 'not Intel'));
  r.bytes('SEAMATTRIBUTES', 8);
  readTdMeasurements(r);
  r.bytes('REPORTDATA', 64, reportDataMeaning);
  if (bodyType < MAX_TYPE.td15) return;
  r.bytes('TEE_TCB_SVN_2', 16, (value) => `${moduleSvn(value)}, now`);
  r.bytes('MRSERVICETD', 48, (value) => (isZero(value) ? 'zero: no service TD' : undefined));
  if (bodyType < MAX_TYPE.td15Extended) return;
  r.bytes('VMID', 1);
  r.bytes('TDID', 32);
  r.bytes('DEVINFO', 48);
  r.bytes('initial service TD hash', 48);
  r.bytes('initial service TD attributes', 8);
  r.bytes('initial CPUSVN', 16);
  r.bytes('initial TEE_TCB_SVN', 16);
  r.bytes('initial FMSPC', 12);
  r.bytes('current service TD hash', 48);
  r.bytes('current service TD attributes', 8);
}

/** What a TDREPORT (1024 bytes) has: the same in another order, and a MAC in place of a signature. */
export function readTdReportStructure(r: FieldReader): void {
  r.section('REPORTMACSTRUCT');
  r.bytes('REPORTTYPE', 4, (value) => (value[0] === 0x81 ? 'TDX' : undefined));
  r.reserved(12);
  r.bytes('CPUSVN', 16);
  r.bytes('TEE_TCB_INFO_HASH', 48);
  r.bytes('TEE_INFO_HASH', 48);
  r.bytes('REPORTDATA', 64, reportDataMeaning);
  r.reserved(32);
  r.bytes('MAC', 32, () => 'by the processor: only its own machine can check it');
  r.section('TEE_TCB_INFO');
  r.bytes('VALID', 8);
  r.bytes('TEE_TCB_SVN', 16, moduleSvn);
  r.bytes('MRSEAM', 48, () => 'the TDX module');
  r.bytes('MRSIGNERSEAM', 48, (value) => (isZero(value) ? 'zero: Intel' : 'not Intel'));
  r.bytes('ATTRIBUTES', 8);
  r.bytes('TEE_TCB_SVN_2', 16, moduleSvn);
  r.reserved(95);
  r.reserved(17);
  r.section('TDINFO');
  readTdMeasurements(r);
  r.bytes('SERVTD_HASH', 48, (value) => (isZero(value) ? 'zero: no service TD' : undefined));
  r.reserved(64);
}

function readTdMeasurements(r: FieldReader): void {
  r.bytes('TDATTRIBUTES', 8, (value) => bitNames(littleEndian(value), TD_ATTRIBUTES));
  r.bytes('XFAM', 8, (value) => bitNames(littleEndian(value), XFAM));
  r.bytes('MRTD', 48, () => 'what the TD was built from');
  r.bytes('MRCONFIGID', 48);
  r.bytes('MROWNER', 48);
  r.bytes('MROWNERCONFIG', 48);
  for (const i of [0, 1, 2, 3]) r.bytes(`RTMR${i}`, 48);
}

function moduleSvn(value: Uint8Array): string {
  return `TDX module ${value[1] ?? 0}, SVN ${value[0] ?? 0}; SEAM loader ${value[2] ?? 0}`;
}
