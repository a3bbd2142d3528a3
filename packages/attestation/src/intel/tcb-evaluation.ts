import type { TcbStatus } from '../claims.ts';
import type { PckExtension } from './pck-extension.ts';
import type { QeIdentity } from './qe-identity.ts';
import { Refusal } from './progress.ts';
import type { ComponentTcbStatus, PlatformTcbStatus, TcbInfo, TcbLevel } from './tcb-info.ts';
import {
  convergeTcbStatus,
  findModuleIdentity,
  moduleVersion,
  selectIsvLevel,
  selectPlatformLevel,
} from './tcb-level.ts';

/** What a platform is judged by. */
export interface TcbInputs {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly pck: PckExtension;
  readonly qeIsvSvn: number;
}

/** What the TCB of a platform comes to. */
export interface TcbEvaluation {
  readonly status: PlatformTcbStatus;
  /** Sorted, no duplicates. */
  readonly advisoryIds: readonly string[];
  readonly tcbDate: string;
}

/**
 * Selects the levels of platform, QE and (TDX, versioned) module, and converges their statuses
 * (spec/evidence.md 6 and 7). Where one has no level: tcb.unsupported.
 */
export function evaluateTcb(inputs: TcbInputs, teeTcbSvn?: Uint8Array): TcbEvaluation {
  const { tcbInfo, qeIdentity, pck, qeIsvSvn } = inputs;
  const platform =
    selectPlatformLevel(tcbInfo, pck, teeTcbSvn) ?? unsupported('of the platform matches');
  const qe = selectIsvLevel(qeIdentity.levels, qeIsvSvn) ?? unsupported('of the QE matches');
  const components: TcbLevel<ComponentTcbStatus>[] = [qe];
  if (teeTcbSvn !== undefined && moduleVersion(teeTcbSvn) > 0) {
    const identity = findModuleIdentity(tcbInfo, teeTcbSvn) ?? unsupported('of this TDX module');
    const minor = teeTcbSvn[0] ?? 0;
    components.push(selectIsvLevel(identity.levels, minor) ?? unsupported('of the TDX module'));
  }
  const used = [platform, ...components] as const;
  return {
    status: convergeTcbStatus(
      platform.status,
      components.map(({ status }) => status),
    ),
    advisoryIds: mergeAdvisories(used),
    // The dates were read as instants in one form, so their texts compare as they do.
    tcbDate: used.reduce(
      (first, { tcbDate }) => (tcbDate < first ? tcbDate : first),
      used[0].tcbDate,
    ),
  };
}

function mergeAdvisories(levels: readonly TcbLevel<TcbStatus>[]): readonly string[] {
  const stated = levels.filter(({ advisoryIds }) => advisoryIds.length > 0);
  if (stated.length < 2) return stated[0]?.advisoryIds ?? [];
  return [...new Set(stated.flatMap(({ advisoryIds }) => advisoryIds))].toSorted();
}

function unsupported(what: string): never {
  throw new Refusal('tcb.unsupported', `no TCB level ${what}`);
}
