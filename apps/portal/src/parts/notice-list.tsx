import { useQuery } from '@tanstack/react-query';
import { CircleAlert, FileCheck2, ShieldX } from 'lucide-react';
import { Link } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import type { Notice } from '../events/feed.ts';
import { useFeed } from '../events/use-feed.ts';
import { formatDateTime } from '../i18n/format.ts';
import { useSession } from '../session/session.ts';
import { useLanguage } from '../settings/language.ts';
import { initialsOf, tailOf } from './person.ts';
import { Empty } from './states.tsx';

const ICONS = { ready: FileCheck2, failed: CircleAlert, rejected: ShieldX };

/** Notices, newest first. A notice has ids only: whom it is about is read through the channel. */
export function NoticeList({
  notices,
  onOpen,
}: {
  notices: readonly Notice[];
  onOpen?: () => void;
}) {
  const { t } = useTranslation();
  if (notices.length === 0)
    return <Empty title={t('notifications.empty')} hint={t('notifications.emptyHint')} />;
  return (
    <ul className="notices">
      {notices.map((notice) => (
        <NoticeLine key={notice.id} notice={notice} {...(onOpen === undefined ? {} : { onOpen })} />
      ))}
    </ul>
  );
}

function NoticeLine({ notice, onOpen }: { notice: Notice; onOpen?: () => void }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { seen } = useFeed();
  const { connection } = useSession();
  const { records } = connection;
  const { data: task } = useQuery({
    queryKey: ['task', notice.task],
    queryFn: () => records.readTask(notice.task),
  });
  const patientId = task?.patient;
  const { data: patient } = useQuery({
    queryKey: ['patient', patientId],
    queryFn: () => records.readPatient(patientId ?? ''),
    enabled: patientId !== undefined,
  });
  const Icon = ICONS[notice.kind];
  const unread = notice.id > seen;
  const to =
    task?.study === undefined || patientId === undefined
      ? undefined
      : `/patients/${patientId}/studies/${task.study}`;
  return (
    <li className={`notice notice-${notice.kind}${unread ? ' notice-unread' : ''}`}>
      <Icon size={18} aria-hidden />
      <div className="notice-body">
        {to === undefined ? (
          <span className="notice-title">{t(`notifications.${notice.kind}`)}</span>
        ) : (
          <Link className="notice-title" href={to} onPress={() => onOpen?.()}>
            {t(`notifications.${notice.kind}`)}
          </Link>
        )}
        <span className="notice-meta">
          {patient === undefined ? '…' : `${initialsOf(patient)} · ${tailOf(patient.mrn)}`}
          {notice.time === undefined ? '' : ` · ${formatDateTime(notice.time, language)}`}
        </span>
        <span className="notice-meta">
          {t('notifications.request', { id: notice.task.slice(0, 8) })}
        </span>
      </div>
      {unread ? <span className="dot" role="img" aria-label={t('notifications.unread')} /> : null}
    </li>
  );
}
