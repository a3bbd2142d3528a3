import { equalBytes, isZero } from '@cloister/bytes';
import { Refusal } from '../intel/progress.ts';
import { matchesUnderMask } from '../intel/qe-identity.ts';
import type { TcbInfo } from '../intel/tcb-info.ts';
import { findModuleIdentity, moduleVersion } from '../intel/tcb-level.ts';
import type { TdReport } from './td-report.ts';

/**
 * Refuses a TD whose TDX module is not one that the TCB info names (spec/evidence.md 4.F): its
 * signer, its attributes, and for versioned modules an identity of that version.
 */
export function checkTdxModule(report: TdReport, tcbInfo: TcbInfo): void {
  const { teeTcbSvn, mrsignerseam, seamAttributes } = report;
  const module =
    moduleVersion(teeTcbSvn) > 0 ? findModuleIdentity(tcbInfo, teeTcbSvn) : tcbInfo.tdxModule;
  if (module === undefined) throw mismatch('no identity for its version');
  if (!equalBytes(mrsignerseam, module.mrsigner)) throw mismatch('MRSIGNERSEAM');
  if (
    !isZero(seamAttributes) ||
    !equalBytes(seamAttributes, module.attributes) ||
    !matchesUnderMask(seamAttributes, module.attributesMask, module.attributes)
  ) {
    throw mismatch('SEAMATTRIBUTES');
  }
}

function mismatch(what: string): Refusal {
  return new Refusal('tdxmodule.mismatch', `TDX module: ${what}`);
}
