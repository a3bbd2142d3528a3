import type { TaskView } from '@cloister/client';
import type { TaskProgress } from '../events/feed.ts';

/** The phases of an analysis, in order (S7). */
const ANALYSIS_PHASES = [
  'requested',
  'verify-provider',
  'prove-caller',
  'infer',
  'record',
] as const;
/** One of them. */
export type AnalysisPhase = (typeof ANALYSIS_PHASES)[number];

/** A phase, with its state and how long it took. */
export interface PhaseState {
  readonly id: AnalysisPhase;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  readonly ms?: number;
}

/** Whether an analysis is still going on. */
export function isRunning(task: TaskView): boolean {
  return ['requested', 'accepted', 'in-progress'].includes(task.status);
}

/**
 * The phases of a task as far as its status and the events tell: those that a status proves to be
 * over are done, also where an event was missed; where it stopped, that phase failed.
 */
export function phasesOf(task: TaskView, progress: TaskProgress | undefined): PhaseState[] {
  const known = progress?.phases ?? {};
  let open = false;
  return ANALYSIS_PHASES.map((id): PhaseState => {
    const event = known[id];
    const ms = event?.ms === undefined ? {} : { ms: event.ms };
    if (id === 'requested' || task.status === 'completed') return { id, state: 'done', ...ms };
    if (open) return { id, state: 'waiting' };
    if (event?.ok === true) return { id, state: 'done', ...ms };
    open = true;
    return { id, state: event?.ok === false || !isRunning(task) ? 'failed' : 'running', ...ms };
  });
}

/** The reasons that have words of their own (keys of the texts under `analysis.reasons`). */
const REASONS = [
  'peer-not-trusted',
  'receipt-invalid',
  'provider-unavailable',
  'input-refused',
  'caller-not-admitted',
  'answer-invalid',
  'record-tampered',
] as const;
/** Such a reason, or any other. */
export type AnalysisReason = (typeof REASONS)[number] | 'other';

/** Which words explain why a task did not finish. */
export function analysisReason(task: TaskView): AnalysisReason {
  return REASONS.find((reason) => reason === task.reason?.code) ?? 'other';
}
