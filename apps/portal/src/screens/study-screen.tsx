import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';
import type { PatientView, StudyView } from '@cloister/client';
import { formatDateTime } from '../i18n/format.ts';
import { loadResult } from '../image/load-result.ts';
import { AnalysisPanel } from '../parts/analysis-panel.tsx';
import { PatientBanner } from '../parts/patient-banner.tsx';
import { ResultPanel } from '../parts/result-panel.tsx';
import { FailureNote, Loading } from '../parts/states.tsx';
import { Viewer } from '../parts/viewer.tsx';
import { useGuarded } from '../session/use-guarded.ts';
import { useSession } from '../session/session.ts';
import { useLanguage } from '../settings/language.ts';
import { isRunning } from './analysis-phases.ts';

/** S7 to S9: an image, the analysis of it, and what came of that. */
export function StudyScreen() {
  const { patient = '', study = '' } = useParams();
  const { records } = useSession().connection;
  const person = useQuery({
    queryKey: ['patient', patient],
    queryFn: () => records.readPatient(patient),
  });
  const picture = useQuery({ queryKey: ['study', study], queryFn: () => records.readStudy(study) });
  const error = person.error ?? picture.error;
  useGuarded(error);
  if (error !== null)
    return (
      <FailureNote
        error={error}
        onRetry={() => {
          void person.refetch();
          void picture.refetch();
        }}
      />
    );
  if (person.data === undefined || picture.data === undefined) return <Loading />;
  return <Study patient={person.data} study={picture.data} />;
}

function Study({ patient, study }: { patient: PatientView; study: StudyView }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { records } = useSession().connection;
  const tasks = useQuery({
    queryKey: ['patient', patient.id, 'tasks'],
    queryFn: () => records.tasksOf(patient.id),
  });
  const listed = tasks.data
    ?.filter((task) => task.study === study.id)
    .toSorted((a, b) => (a.authoredOn ?? '').localeCompare(b.authoredOn ?? ''))
    .at(-1);
  const current = useQuery({
    queryKey: ['task', listed?.id],
    queryFn: () => records.readTask(listed?.id ?? ''),
    enabled: listed !== undefined,
    // Events say when something happens; this is for those that were missed.
    refetchInterval: ({ state }) =>
      state.data === undefined || isRunning(state.data) ? 4000 : false,
  });
  const task = current.data ?? listed;
  const reportId = task?.status === 'completed' ? task.report : undefined;
  const result = useQuery({
    queryKey: ['result', reportId],
    queryFn: () => loadResult(records, reportId ?? ''),
    enabled: reportId !== undefined,
  });
  useGuarded(tasks.error ?? current.error ?? result.error);
  const failed = tasks.error ?? result.error;
  const corner = [
    patient.name,
    patient.mrn ?? '',
    study.modality,
    study.started === undefined ? '' : formatDateTime(study.started, language),
  ].filter((line) => line !== '');
  return (
    <section className="screen study-screen">
      <PatientBanner patient={patient} link />
      <div className="study-layout">
        <Viewer study={study.id} heat={result.data?.heat} corner={corner} />
        <div className="study-side">
          {failed === null ? null : (
            <FailureNote
              error={failed}
              onRetry={() => {
                void tasks.refetch();
                void result.refetch();
              }}
            />
          )}
          {result.data === undefined || result.data === null ? null : (
            <ResultPanel result={result.data} />
          )}
          {tasks.data === undefined ? (
            <Loading />
          ) : (
            <AnalysisPanel
              study={study}
              patient={patient}
              task={task}
              known={tasks.data.map(({ id }) => id)}
            />
          )}
          <p className="muted small">{t('result.notForDiagnosis')}</p>
        </div>
      </div>
    </section>
  );
}
