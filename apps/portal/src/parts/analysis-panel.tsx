import { useQueryClient } from '@tanstack/react-query';
import { ShieldX, Sparkles, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import { Button } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import type { PatientView, StudyView, TaskView } from '@cloister/client';
import { useFeed } from '../events/use-feed.ts';
import { analysisReason, isRunning, phasesOf } from '../screens/analysis-phases.ts';
import { isSignedOut } from '../session/failure.ts';
import { useSession } from '../session/session.ts';
import { PhaseList } from './phase-list.tsx';
import { FailureNote } from './states.tsx';

interface AnalysisProps {
  readonly patient: PatientView;
  readonly study: StudyView;
  readonly task: TaskView | undefined;
  /** All tasks of the study that are known. */
  readonly known: readonly string[];
}

/** S7: asks for an opinion, and shows how far it has come and what stopped it. */
export function AnalysisPanel({ patient, study, task, known }: AnalysisProps) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { connection, end } = useSession();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>();

  const look = async (): Promise<void> => {
    await queries.invalidateQueries({ queryKey: ['patient', patient.id, 'tasks'] });
    setFailure(undefined);
  };
  const ask = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      await connection.records.requestDiagnosis(study.id, patient.id, known);
      await look();
    } catch (error) {
      if (isSignedOut(error)) end();
      else setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  const stopped = task !== undefined && !isRunning(task) && task.status !== 'completed';
  return (
    <section
      className="panel padded analysis"
      aria-label={t('analysis.title')}
      data-testid="analysis"
      data-status={task?.status ?? 'none'}
    >
      <h2>{t('analysis.title')}</h2>
      {task === undefined ? null : <Progress task={task} />}
      {stopped ? <Stopped task={task} /> : null}
      {failure === undefined ? null : (
        <FailureNote error={failure} onRetry={() => void ask()} onLook={() => void look()} />
      )}
      {task === undefined || stopped ? (
        <>
          <Button
            className="button ai"
            onPress={() => void ask()}
            isDisabled={busy}
            data-testid="analyse"
          >
            <Sparkles size={16} aria-hidden />
            {t(task === undefined ? 'analysis.start' : 'analysis.again')}
          </Button>
          <p className="muted small">{t('analysis.startHint')}</p>
        </>
      ) : null}
    </section>
  );
}

function Progress({ task }: { task: TaskView }) {
  const { t } = useTranslation();
  const { feed } = useFeed();
  const phases = phasesOf(task, feed.tasks.get(task.id)).map(({ id, state, ms }) => ({
    id,
    state,
    label: t(`analysis.phases.${id}`),
    ...(ms === undefined
      ? {}
      : { note: t('analysis.elapsed', { seconds: (ms / 1000).toFixed(ms < 10_000 ? 2 : 0) }) }),
  }));
  return (
    <div role="status">
      <PhaseList phases={phases} label={t('analysis.title')} />
      {isRunning(task) ? <p className="muted small">{t('analysis.running')}</p> : null}
    </div>
  );
}

function Stopped({ task }: { task: TaskView }) {
  const { t } = useTranslation();
  const rejected = task.status === 'rejected';
  const Icon = rejected ? ShieldX : TriangleAlert;
  return (
    <div
      className="note note-critical tall"
      role="alert"
      data-testid="analysis-stopped"
      data-code={task.reason?.code}
    >
      <Icon size={20} aria-hidden />
      <div>
        <p className="note-title">
          {t(rejected ? 'analysis.rejectedTitle' : 'analysis.failedTitle')}
        </p>
        <p>{t(`analysis.reasons.${analysisReason(task)}`)}</p>
        <p className="small">{t('analysis.unaffected')}</p>
        {task.reason === undefined ? null : (
          <p className="note-code">{t('errors.code', { code: task.reason.code })}</p>
        )}
      </div>
    </div>
  );
}
