import { reasonOf, type GateReport } from './gate-report.ts';

/** How the page stands with the platform. */
export interface Standing {
  readonly report: GateReport;
  /** Why nothing may be sent now although somebody works here: a code. What is typed stays. */
  readonly stopped?: string;
  /** The last report that passed. */
  readonly passed?: GateReport;
  /** The agreement was renewed while somebody works here: from which serial to which. */
  readonly renewed?: { readonly from: number; readonly to: number; readonly at: Date };
}

/**
 * The standing after another run of the gate. A platform that nobody could ask stays verified as of
 * then, for one lease; then, or where the hospital's broker does not confirm that this agreement is in
 * force, nothing is sent any more until it is verified again. Anything else that is refused is out.
 */
export function standingAfter(before: Standing, next: GateReport, entered: boolean): Standing {
  if (next.state === 'passed') return { report: next, passed: next, ...renewal(before, next) };
  const { passed } = before;
  if (passed === undefined || next.state === 'checking') return { report: next };
  const code = next.code ?? 'other';
  const kept = { passed, ...renewalOf(before) };
  if (next.state === 'unreachable') {
    const lease = passed.manifest?.lease ?? 0;
    const recent = next.at.getTime() - passed.at.getTime() <= lease * 1000;
    // What was verified by another agreement than the one in force does not stand.
    const same = next.manifest === undefined || next.manifest.id === passed.manifest?.id;
    if (recent && same && before.stopped === undefined) return before;
    return entered ? { ...kept, report: next, stopped: code } : { report: next };
  }
  if (entered && mayComeBack(code)) return { ...kept, report: next, stopped: code };
  return { report: next };
}

/** Whether a newer head, or a newer manifest, may mend it: until then the page waits with its input. */
function mayComeBack(code: string): boolean {
  return reasonOf(code) === 'heads' || reasonOf(code) === 'agreement';
}

function renewal(before: Standing, next: GateReport): Pick<Standing, 'renewed'> {
  const from = before.passed?.manifest?.serial;
  const to = next.manifest?.serial;
  if (from === undefined || to === undefined || from === to) return renewalOf(before);
  return { renewed: { from, to, at: next.at } };
}

function renewalOf({ renewed }: Standing): Pick<Standing, 'renewed'> {
  return renewed === undefined ? {} : { renewed };
}

/** Which plain sentence explains why nothing is sent (keys of the texts under `trust.stoppedReasons`). */
export type StopReason = 'old' | 'newer' | 'foreign' | 'unknown' | 'unreachable';

const STOP_REASONS: readonly (readonly [RegExp, StopReason])[] = [
  [/^(head_too_old|own_head_missing|clock_behind_head)$/, 'old'],
  [/^manifest_/, 'newer'],
  [/^(head_unknown|heads_missing)$/, 'unknown'],
  [/unavailable$/, 'unreachable'],
];

/** The plain reason for a code; what nobody translated is a broker that is not what it was. */
export function stopReasonOf(code: string): StopReason {
  return STOP_REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'foreign';
}
