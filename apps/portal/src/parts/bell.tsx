import { Bell as BellIcon } from 'lucide-react';
import { Button, Dialog, DialogTrigger, Heading, Popover } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { useFeed } from '../events/use-feed.ts';
import { NoticeList } from './notice-list.tsx';

/** The bell: how many notices are unread, and the newest of them. */
export function Bell() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { feed, unread, markAllRead } = useFeed();
  return (
    <DialogTrigger>
      <Button
        className="icon-button bell"
        aria-label={t('notifications.bell', { count: unread })}
        data-testid="notifications"
      >
        <BellIcon size={19} aria-hidden />
        <span
          className={unread === 0 ? 'bell-count bell-count-none' : 'bell-count'}
          data-testid="bell-count"
          aria-hidden
        >
          {unread}
        </span>
      </Button>
      <Popover className="popover bell-popover" placement="bottom end">
        <Dialog className="dialog">
          {({ close }) => (
            <>
              <div className="dialog-head">
                <Heading slot="title" className="dialog-title">
                  {t('notifications.title')}
                </Heading>
                <Button className="link-button" onPress={markAllRead} isDisabled={unread === 0}>
                  {t('notifications.markAll')}
                </Button>
              </div>
              <NoticeList notices={feed.notices.slice(0, 6)} onOpen={close} />
              <Button
                className="link-button"
                onPress={() => {
                  close();
                  void navigate('/notifications');
                }}
              >
                {t('notifications.all')}
              </Button>
            </>
          )}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
