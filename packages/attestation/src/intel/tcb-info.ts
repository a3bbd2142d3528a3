import { MalformedError, parseJson, type Bytes } from '@cloister/bytes';
import type { TcbStatus } from '../claims.ts';
import { JsonFields } from './json-fields.ts';

/** The statuses that Intel gives to a platform's TCB level (spec/evidence.md 3.1). */
export type PlatformTcbStatus = Exclude<
  TcbStatus,
  'TDRelaunchAdvised' | 'TDRelaunchAdvisedConfigurationNeeded'
>;
/** The statuses of a QE or TDX module level. */
export type ComponentTcbStatus = 'UpToDate' | 'OutOfDate' | 'Revoked';

const PLATFORM_STATUSES: readonly PlatformTcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
];
const COMPONENT_STATUSES: readonly ComponentTcbStatus[] = ['UpToDate', 'OutOfDate', 'Revoked'];

/** What every TCB level states. */
export interface TcbLevel<Status extends TcbStatus> {
  readonly status: Status;
  readonly tcbDate: string;
  /** Sorted, no duplicates. */
  readonly advisoryIds: readonly string[];
}

/** A level of a platform: 16 components, the PCE, and for TDX 16 components more. */
export interface PlatformTcbLevel extends TcbLevel<PlatformTcbStatus> {
  readonly sgx: readonly number[];
  readonly pceSvn: number;
  readonly tdx?: readonly number[];
}

/** A level of a QE or of a TDX module. */
export interface IsvTcbLevel extends TcbLevel<ComponentTcbStatus> {
  readonly isvSvn: number;
}

/** Who must have signed a TDX module, and what its attributes must be. */
export interface TdxModule {
  readonly mrsigner: Bytes;
  readonly attributes: Bytes;
  readonly attributesMask: Bytes;
}

/** A TDX module of one major version, with levels of its own. */
export interface TdxModuleIdentity extends TdxModule {
  readonly id: string;
  readonly levels: readonly IsvTcbLevel[];
}

/** TCB info version 2 or 3 (spec/evidence.md 3.1). Levels are sorted, the highest first. */
export interface TcbInfo {
  readonly tee: 'sgx' | 'tdx';
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly fmspc: Bytes;
  readonly pceId: Bytes;
  readonly tcbEvaluationDataNumber: number;
  readonly tdxModule?: TdxModule;
  readonly tdxModuleIdentities: readonly TdxModuleIdentity[];
  readonly levels: readonly PlatformTcbLevel[];
}

const U16 = 0xffff;
const U32 = 0xffff_ffff;

/**
 * Reads the value that a TCB info envelope signs. MalformedError for another version or TCB type,
 * unknown statuses, duplicate levels, and dates in another form than Intel's.
 */
export function parseTcbInfo(text: string): TcbInfo {
  const fields = new JsonFields(parseJson(text, 'TCB info'), 'tcbInfo');
  const version = fields.integer('version', U32);
  if (version !== 2 && version !== 3) return fields.fail('version');
  if (fields.integer('tcbType', U32) !== 0) fields.fail('tcbType');
  const tee = version === 2 || fields.oneOf('id', ['SGX', 'TDX']) === 'SGX' ? 'sgx' : 'tdx';
  if (tee === 'sgx' && (fields.has('tdxModule') || fields.has('tdxModuleIdentities'))) {
    fields.fail('tdxModule');
  }
  const levels = fields
    .objects('tcbLevels')
    .map((level) => parsePlatformLevel(level, version, tee));
  return {
    tee,
    issueDate: fields.instant('issueDate'),
    nextUpdate: fields.instant('nextUpdate'),
    fmspc: fields.hex('fmspc', 6),
    pceId: fields.hex('pceId', 2),
    tcbEvaluationDataNumber: fields.integer('tcbEvaluationDataNumber', U32),
    ...(tee === 'tdx' ? { tdxModule: parseModule(fields.object('tdxModule')) } : {}),
    tdxModuleIdentities: fields.has('tdxModuleIdentities')
      ? fields.objects('tdxModuleIdentities').map(parseModuleIdentity)
      : [],
    levels: sortLevels(levels, comparePlatformLevels, 'tcbInfo.tcbLevels'),
  };
}

function parsePlatformLevel(
  level: JsonFields,
  version: 2 | 3,
  tee: 'sgx' | 'tdx',
): PlatformTcbLevel {
  const tcb = level.object('tcb');
  return {
    sgx: version === 2 ? parseNamedComponents(tcb) : parseComponents(tcb, 'sgxtcbcomponents'),
    pceSvn: tcb.integer('pcesvn', U16),
    ...(tee === 'tdx' ? { tdx: parseComponents(tcb, 'tdxtcbcomponents') } : {}),
    ...parseLevel(level, PLATFORM_STATUSES),
  };
}

function parseNamedComponents(tcb: JsonFields): number[] {
  return Array.from({ length: 16 }, (_, i) =>
    tcb.integer(`sgxtcbcomp${String(i + 1).padStart(2, '0')}svn`, 255),
  );
}

function parseComponents(tcb: JsonFields, name: string): number[] {
  const components = tcb.objects(name).map((component) => component.integer('svn', 255));
  return components.length === 16 ? components : tcb.fail(name);
}

function parseLevel<Status extends TcbStatus>(
  level: JsonFields,
  statuses: readonly Status[],
): TcbLevel<Status> {
  level.instant('tcbDate');
  return {
    status: level.oneOf('tcbStatus', statuses),
    tcbDate: level.string('tcbDate'),
    // Frozen, for claims carry this very array out of a cache.
    advisoryIds: Object.freeze([...new Set(level.strings('advisoryIDs'))].toSorted()),
  };
}

/** Levels of a QE or a module from a document, the highest first. */
export function parseIsvLevels(fields: JsonFields, where: string): readonly IsvTcbLevel[] {
  const levels = fields.objects('tcbLevels').map((level) => ({
    isvSvn: level.object('tcb').integer('isvsvn', U16),
    ...parseLevel(level, COMPONENT_STATUSES),
  }));
  return sortLevels(levels, (a, b) => b.isvSvn - a.isvSvn, where);
}

function parseModule(fields: JsonFields): TdxModule {
  return {
    mrsigner: fields.hex('mrsigner', 48),
    attributes: fields.hex('attributes', 8),
    attributesMask: fields.hex('attributesMask', 8),
  };
}

function parseModuleIdentity(fields: JsonFields): TdxModuleIdentity {
  return {
    id: fields.string('id').toUpperCase(),
    ...parseModule(fields),
    levels: parseIsvLevels(fields, 'tcbInfo.tdxModuleIdentities.tcbLevels'),
  };
}

/** The order of a document is not trusted: levels are sorted, and two alike refused (3.1). */
function sortLevels<Level>(
  levels: readonly Level[],
  compare: (a: Level, b: Level) => number,
  where: string,
): readonly Level[] {
  const sorted = levels.toSorted(compare);
  sorted.forEach((level, i) => {
    const next = sorted[i + 1];
    if (next !== undefined && compare(level, next) === 0) {
      throw new MalformedError('bad_value', `${where}: duplicate level`);
    }
  });
  return sorted;
}

function comparePlatformLevels(a: PlatformTcbLevel, b: PlatformTcbLevel): number {
  return (
    compareDescending(a.sgx, b.sgx) ||
    b.pceSvn - a.pceSvn ||
    compareDescending(a.tdx ?? [], b.tdx ?? [])
  );
}

function compareDescending(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((svn, index) => svn !== b[index]);
  return i < 0 ? 0 : (b[i] ?? 0) - (a[i] ?? 0);
}
