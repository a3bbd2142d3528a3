import { Circle, CircleCheck, CircleX, LoaderCircle } from 'lucide-react';

/** One phase of something that takes a while. */
export interface Phase {
  readonly id: string;
  readonly label: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  readonly note?: string;
}

interface PhaseListProps {
  readonly phases: readonly Phase[];
  readonly label: string;
  /** Side by side, where there is room. */
  readonly row?: boolean;
}

const ICONS = { waiting: Circle, running: LoaderCircle, done: CircleCheck, failed: CircleX };

/** Phases in order, each with its state: icon, words and place, not colour alone. */
export function PhaseList({ phases, label, row = false }: PhaseListProps) {
  return (
    <ol className={row ? 'phases phases-row' : 'phases'} aria-label={label}>
      {phases.map(({ id, label: text, state, note }) => {
        const Icon = ICONS[state];
        return (
          <li
            key={id}
            className={`phase phase-${state}`}
            data-testid={`phase-${id}`}
            data-state={state}
          >
            <Icon size={17} className={state === 'running' ? 'spin' : undefined} aria-hidden />
            <span>{text}</span>
            {note === undefined ? null : <span className="phase-note">{note}</span>}
          </li>
        );
      })}
    </ol>
  );
}
