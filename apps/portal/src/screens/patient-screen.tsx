import { useQuery } from '@tanstack/react-query';
import { ChevronRight, FileText } from 'lucide-react';
import { Link, Tab, TabList, TabPanel, Tabs } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';
import type { PatientView, ReportView, StudyView, TaskView } from '@cloister/client';
import { formatDateTime } from '../i18n/format.ts';
import { AiLabel } from '../parts/ai-label.tsx';
import { PatientBanner } from '../parts/patient-banner.tsx';
import { Empty, FailureNote, Loading } from '../parts/states.tsx';
import { Thumbnail } from '../parts/thumbnail.tsx';
import { UploadPanel } from '../parts/upload-panel.tsx';
import { useGuarded } from '../session/use-guarded.ts';
import { useSession } from '../session/session.ts';
import { useLanguage } from '../settings/language.ts';

/** S4: a patient's record: who it is, the images and the reports. */
export function PatientScreen() {
  const { patient = '' } = useParams();
  const { connection } = useSession();
  const query = useQuery({
    queryKey: ['patient', patient],
    queryFn: () => connection.records.readPatient(patient),
  });
  useGuarded(query.error);
  if (query.isError)
    return <FailureNote error={query.error} onRetry={() => void query.refetch()} />;
  if (query.data === undefined) return <Loading />;
  return <Record patient={query.data} />;
}

function Record({ patient }: { patient: PatientView }) {
  const { t } = useTranslation();
  return (
    <section className="screen">
      <PatientBanner patient={patient} />
      <Tabs className="tabs">
        <TabList className="tab-list" aria-label={patient.name}>
          <Tab className="tab" id="imaging">
            {t('record.imaging')}
          </Tab>
          <Tab className="tab" id="reports" data-testid="tab-reports">
            {t('record.reports')}
          </Tab>
        </TabList>
        <TabPanel className="tab-panel" id="imaging">
          <UploadPanel patient={patient} />
          <Studies patient={patient} />
        </TabPanel>
        <TabPanel className="tab-panel" id="reports">
          <Reports patient={patient} />
        </TabPanel>
      </Tabs>
    </section>
  );
}

function Studies({ patient }: { patient: PatientView }) {
  const { t } = useTranslation();
  const { records } = useSession().connection;
  const studies = useQuery({
    queryKey: ['patient', patient.id, 'studies'],
    queryFn: () => records.studiesOf(patient.id),
  });
  const tasks = useQuery({
    queryKey: ['patient', patient.id, 'tasks'],
    queryFn: () => records.tasksOf(patient.id),
  });
  useGuarded(studies.error);
  if (studies.isError)
    return <FailureNote error={studies.error} onRetry={() => void studies.refetch()} />;
  if (studies.data === undefined) return <Loading />;
  if (studies.data.length === 0)
    return <Empty title={t('record.noStudies')} hint={t('record.noStudiesHint')} />;
  return (
    <ul className="studies" data-testid="study-list">
      {newestFirst(studies.data).map((study) => (
        <StudyCard
          key={study.id}
          study={study}
          task={(tasks.data ?? []).findLast((task) => task.study === study.id)}
        />
      ))}
    </ul>
  );
}

function newestFirst(studies: readonly StudyView[]): StudyView[] {
  return studies.toSorted((a, b) => (b.started ?? '').localeCompare(a.started ?? ''));
}

function StudyCard({ study, task }: { study: StudyView; task: TaskView | undefined }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const when = study.started === undefined ? '–' : formatDateTime(study.started, language);
  return (
    <li className="study">
      <Thumbnail study={study.id} />
      <div className="study-body">
        <h2>{t('record.study', { date: when })}</h2>
        <p className="muted">
          {study.modality}
          {study.bodyPart === undefined ? '' : ` · ${study.bodyPart}`}
        </p>
        <StudyState task={task} />
      </div>
      <Link
        className="button"
        href={`/patients/${study.patient}/studies/${study.id}`}
        data-testid="study-open"
      >
        {t('record.open')}
        <ChevronRight size={16} aria-hidden />
      </Link>
    </li>
  );
}

function StudyState({ task }: { task: TaskView | undefined }) {
  const { t } = useTranslation();
  if (task === undefined) return <span className="tag">{t('record.notAnalysed')}</span>;
  if (task.status === 'completed') return <AiLabel />;
  if (task.status === 'rejected')
    return <span className="tag tag-critical">{t('analysis.rejectedTitle')}</span>;
  if (task.status === 'failed' || task.status === 'cancelled')
    return <span className="tag tag-critical">{t('analysis.failedTitle')}</span>;
  return <span className="tag tag-busy">{t('record.analysing')}</span>;
}

function Reports({ patient }: { patient: PatientView }) {
  const { t } = useTranslation();
  const { records } = useSession().connection;
  const query = useQuery({
    queryKey: ['patient', patient.id, 'reports'],
    queryFn: () => records.reportsOf(patient.id),
  });
  useGuarded(query.error);
  if (query.isError)
    return <FailureNote error={query.error} onRetry={() => void query.refetch()} />;
  if (query.data === undefined) return <Loading />;
  if (query.data.length === 0)
    return <Empty title={t('record.noReports')} hint={t('record.noReportsHint')} />;
  const reports = query.data.toSorted((a, b) => (b.issued ?? '').localeCompare(a.issued ?? ''));
  return (
    <ul className="studies" data-testid="report-list">
      {reports.map((report) => (
        <ReportCard key={report.id} report={report} patient={patient} />
      ))}
    </ul>
  );
}

function ReportCard({ report, patient }: { report: ReportView; patient: PatientView }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const study = report.studies[0];
  const { status } = report;
  const known = status === 'preliminary' || status === 'final' || status === 'amended';
  return (
    <li className="study">
      <FileText size={22} aria-hidden className="study-icon" />
      <div className="study-body">
        <h2>{report.issued === undefined ? '–' : formatDateTime(report.issued, language)}</h2>
        <p className="study-tags">
          <span className="tag">{known ? t(`record.statuses.${status}`) : status}</span>
          {status === 'preliminary' ? <AiLabel /> : null}
        </p>
      </div>
      {study === undefined ? null : (
        <Link className="button" href={`/patients/${patient.id}/studies/${study}`}>
          {t('record.open')}
          <ChevronRight size={16} aria-hidden />
        </Link>
      )}
    </li>
  );
}
