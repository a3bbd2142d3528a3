import type { TcbStatus } from '../claims.ts';
import type {
  ComponentTcbStatus,
  IsvTcbLevel,
  PlatformTcbLevel,
  PlatformTcbStatus,
  TcbInfo,
  TdxModuleIdentity,
} from './tcb-info.ts';

/** What a PCK certificate says of its platform's TCB. */
export interface PlatformSvns {
  readonly components: readonly number[];
  readonly pceSvn: number;
}

/** The highest platform level that this platform reaches in every component (6), if any. */
export function selectPlatformLevel(
  tcbInfo: TcbInfo,
  platform: PlatformSvns,
  teeTcbSvn?: Uint8Array,
): PlatformTcbLevel | undefined {
  // With a versioned module, bytes 0 and 1 are judged by the module's own levels instead.
  const from = teeTcbSvn !== undefined && moduleVersion(teeTcbSvn) > 0 ? 2 : 0;
  return tcbInfo.levels.find(
    (level) =>
      reaches(platform.components, level.sgx, 0) &&
      platform.pceSvn >= level.pceSvn &&
      (teeTcbSvn === undefined || reaches(teeTcbSvn, level.tdx ?? [], from)),
  );
}

function reaches(svns: ArrayLike<number>, level: readonly number[], from: number): boolean {
  for (let i = from; i < level.length; i++) {
    if ((svns[i] ?? -1) < (level[i] ?? Number.POSITIVE_INFINITY)) return false;
  }
  return true;
}

/** The highest QE or module level that is not above this SVN (5.5), if any. */
export function selectIsvLevel(
  levels: readonly IsvTcbLevel[],
  isvSvn: number,
): IsvTcbLevel | undefined {
  return levels.find((level) => level.isvSvn <= isvSvn);
}

/** Major version of the TDX module in a TEE_TCB_SVN; 0 means the rules of TDX 1.0. */
export function moduleVersion(teeTcbSvn: Uint8Array): number {
  return teeTcbSvn[1] ?? 0;
}

/** The identity of the module with this TEE_TCB_SVN (4.F), if the document has one. */
export function findModuleIdentity(
  tcbInfo: TcbInfo,
  teeTcbSvn: Uint8Array,
): TdxModuleIdentity | undefined {
  const version = moduleVersion(teeTcbSvn).toString(16).toUpperCase().padStart(2, '0');
  return tcbInfo.tdxModuleIdentities.find(({ id }) => id === `TDX_${version}`);
}

/** What a platform's status becomes through a component that is out of date. */
const OUT_OF_DATE_BY_COMPONENT: Readonly<Record<PlatformTcbStatus, PlatformTcbStatus>> = {
  UpToDate: 'OutOfDate',
  SWHardeningNeeded: 'OutOfDate',
  ConfigurationNeeded: 'OutOfDateConfigurationNeeded',
  ConfigurationAndSWHardeningNeeded: 'OutOfDateConfigurationNeeded',
  OutOfDate: 'OutOfDate',
  OutOfDateConfigurationNeeded: 'OutOfDateConfigurationNeeded',
  Revoked: 'Revoked',
};

/** The platform's status in view of those of QE and module (7): not the worst of them. */
export function convergeTcbStatus(
  platform: PlatformTcbStatus,
  components: readonly ComponentTcbStatus[],
): PlatformTcbStatus {
  if (components.includes('Revoked')) return 'Revoked';
  return components.includes('OutOfDate') ? OUT_OF_DATE_BY_COMPONENT[platform] : platform;
}

const NEEDS_CONFIGURATION: readonly TcbStatus[] = [
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDateConfigurationNeeded',
];
const OUT_OF_DATE: readonly TcbStatus[] = ['OutOfDate', 'OutOfDateConfigurationNeeded'];

/**
 * The status of a TD whose module may have been updated since its launch (7.1): relaunch is advised
 * where only the launch is out of date. Stricter than Intel's library where the module that runs
 * now is revoked: then the result is Revoked.
 */
export function adviseRelaunch(launch: PlatformTcbStatus, current: PlatformTcbStatus): TcbStatus {
  if (current === 'Revoked') return 'Revoked';
  if (!OUT_OF_DATE.includes(launch) || OUT_OF_DATE.includes(current)) return launch;
  return NEEDS_CONFIGURATION.includes(launch) || NEEDS_CONFIGURATION.includes(current)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised';
}
