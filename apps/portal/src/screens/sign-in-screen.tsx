import { useState } from 'react';
import { Button, Form } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { ClientError } from '@cloister/client';
import { Mark } from '../parts/mark.tsx';
import { PreferencesMenu } from '../parts/preferences-menu.tsx';
import { SimulatedBand } from '../parts/simulated-band.tsx';
import { FailureNote } from '../parts/states.tsx';
import { TextInput } from '../parts/text-input.tsx';
import { TrustChip } from '../parts/trust-chip.tsx';
import { TrustNotice } from '../parts/trust-notice.tsx';
import { usePortal } from '../session/portal.ts';

interface SignInProps {
  readonly onSignIn: (user: string, password: string) => Promise<void>;
  /** Whether a session has just ended by itself. */
  readonly ended: boolean;
}

/** S1: the password goes through the channel, which exists only behind the gate. */
export function SignInScreen({ onSignIn, ended }: SignInProps) {
  const { t } = useTranslation();
  const { report } = usePortal();
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [tried, setTried] = useState(false);

  const submit = async (): Promise<void> => {
    setTried(true);
    setError(undefined);
    if (user === '' || password === '') return;
    setBusy(true);
    try {
      await onSignIn(user, password);
    } catch (failed) {
      setPassword('');
      setTried(false);
      setError(failed);
      setBusy(false);
    }
  };
  const missing = (value: string) => (tried && value === '' ? t('form.required') : undefined);
  return (
    <div className="sign-in-page">
      {report.simulated ? <SimulatedBand /> : null}
      <header className="gate-top">
        <div className="brand">
          <Mark />
          <span className="brand-name">{t('product')}</span>
          <span className="brand-place">{report.manifest?.deployment}</span>
        </div>
        <div className="top-tools">
          <TrustChip />
          <PreferencesMenu />
        </div>
      </header>
      <main className="sign-in" id="content">
        <TrustNotice />
        <h1>{t('signIn.title')}</h1>
        <p className="muted">{t('signIn.lead')}</p>
        {ended && error === undefined ? (
          <p className="note" role="status">
            {t('signIn.ended')}
          </p>
        ) : null}
        <Form
          className="form"
          validationBehavior="aria"
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          <TextInput
            label={t('signIn.user')}
            value={user}
            onChange={setUser}
            error={missing(user)}
            testId="sign-in-user"
            autoComplete="username"
            autoFocus
          />
          <TextInput
            label={t('signIn.password')}
            value={password}
            onChange={setPassword}
            error={missing(password)}
            testId="sign-in-password"
            type="password"
            autoComplete="current-password"
          />
          <SignInFailure error={error} />
          <Button
            type="submit"
            className="button primary"
            isDisabled={busy}
            data-testid="sign-in-submit"
          >
            {t('signIn.submit')}
          </Button>
        </Form>
        <p className="muted small">{t('signIn.demo')}</p>
      </main>
    </div>
  );
}

function SignInFailure({ error }: { error: unknown }) {
  const { t } = useTranslation();
  if (error === undefined) return null;
  if (error instanceof ClientError && (error.code === 'unauthorized' || error.code === 'throttled'))
    return (
      <p className="note note-critical" role="alert" data-testid="sign-in-error">
        {t(error.code === 'throttled' ? 'signIn.throttled' : 'signIn.wrong')}
      </p>
    );
  return <FailureNote error={error} />;
}
