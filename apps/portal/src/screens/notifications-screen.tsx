import { Button } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useFeed } from '../events/use-feed.ts';
import { NoticeList } from '../parts/notice-list.tsx';

/** S12: all notifications of this session. */
export function NotificationsScreen() {
  const { t } = useTranslation();
  const { feed, unread, markAllRead } = useFeed();
  return (
    <section className="screen narrow">
      <header className="screen-head">
        <h1>{t('notifications.title')}</h1>
        <Button className="button" onPress={markAllRead} isDisabled={unread === 0}>
          {t('notifications.markAll')}
        </Button>
      </header>
      <div className="panel padded" data-testid="notification-list">
        <NoticeList notices={feed.notices} />
      </div>
    </section>
  );
}
