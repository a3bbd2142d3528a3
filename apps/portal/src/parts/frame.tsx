import { Bell as BellIcon, LogOut, Users, WifiOff } from 'lucide-react';
import { Button, Link } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Outlet, useLocation } from 'react-router';
import { FeedContext, useFeedState } from '../events/use-feed.ts';
import { usePortal } from '../session/portal.ts';
import { useSession } from '../session/session.ts';
import { Bell } from './bell.tsx';
import { Mark } from './mark.tsx';
import { PreferencesMenu } from './preferences-menu.tsx';
import { SimulatedBand } from './simulated-band.tsx';
import { TrustChip } from './trust-chip.tsx';
import { TrustNotice } from './trust-notice.tsx';

/** The frame around every screen behind sign-in: rail, top bar, and what everybody must see. */
export function Frame() {
  const { t } = useTranslation();
  const session = useSession();
  const { report } = usePortal();
  const feed = useFeedState(session);
  const { user } = session.session;
  const role = user.role === 'radiologist' || user.role === 'admin' ? user.role : 'clerk';
  return (
    <FeedContext value={feed}>
      <a className="skip" href="#content">
        {t('common.skip')}
      </a>
      <div className="frame">
        {report.simulated ? <SimulatedBand /> : null}
        <header className="top-bar">
          <div className="brand">
            <Mark />
            <span className="brand-name">{t('product')}</span>
            <span className="brand-place">{report.manifest?.deployment}</span>
          </div>
          <div className="top-tools">
            <TrustChip />
            <PreferencesMenu />
            <Bell />
            <span className="user">
              <span className="user-name">{user.name}</span>
              <span className="user-role">{t(`signIn.roles.${role}`)}</span>
            </span>
            <Button
              className="icon-button"
              aria-label={t('signIn.signOut')}
              onPress={session.signOut}
              data-testid="sign-out"
            >
              <LogOut size={18} aria-hidden />
            </Button>
          </div>
        </header>
        <nav className="rail" aria-label={t('nav.label')}>
          <RailLink
            to="/patients"
            label={t('nav.patients')}
            icon={<Users size={18} aria-hidden />}
          />
          <RailLink
            to="/notifications"
            label={t('nav.notifications')}
            icon={<BellIcon size={18} aria-hidden />}
          />
        </nav>
        <main className="content" id="content" tabIndex={-1}>
          <TrustNotice />
          {feed.failure === undefined ? null : (
            <p className="stale-bar" role="status">
              <WifiOff size={16} aria-hidden />
              {feed.failure.temporary ? t('errors.lost') : t(`errors.${feed.failure.text}`)}
            </p>
          )}
          {session.minutesLeft === undefined ? null : (
            <p className="stale-bar" role="status">
              {t('signIn.expiresSoon', { count: session.minutesLeft })}
            </p>
          )}
          <Outlet />
        </main>
      </div>
    </FeedContext>
  );
}

function RailLink({ to, label, icon }: { to: string; label: string; icon: React.ReactNode }) {
  const { pathname } = useLocation();
  const here = pathname === to || pathname.startsWith(`${to}/`);
  return (
    <Link className="rail-link" href={to} {...(here ? { 'aria-current': 'page' as const } : {})}>
      {icon}
      <span>{label}</span>
    </Link>
  );
}
