import { AlertTriangle, LoaderCircle } from 'lucide-react';
import { Button } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { failureOf } from '../session/failure.ts';

/** Nothing there, and what to do about it. */
export function Empty({
  title,
  hint,
  children,
}: {
  title: string;
  hint: string;
  children?: React.ReactNode;
}) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      <p className="empty-hint">{hint}</p>
      {children}
    </div>
  );
}

/** Something is being loaded. */
export function Loading() {
  const { t } = useTranslation();
  return (
    <p className="loading" role="status">
      <LoaderCircle size={16} className="spin" aria-hidden />
      {t('common.loading')}
    </p>
  );
}

/** Something failed: in plain words, with a code for IT. */
export function FailureNote({
  error,
  onRetry,
  onLook,
}: {
  error: unknown;
  onRetry?: () => void;
  /** Offered instead where it may have taken effect: looks whether it has. */
  onLook?: () => void;
}) {
  const { t } = useTranslation();
  const failure = failureOf(error);
  const unsure = failure.text === 'unsure' || failure.text === 'replayed';
  const onPress = unsure ? onLook : onRetry;
  return (
    <div
      className={unsure ? 'note note-warn' : 'note note-critical'}
      role="alert"
      data-testid="failure"
      data-failure={failure.text}
    >
      <AlertTriangle size={18} aria-hidden />
      <div>
        <p className="note-title">{t(`errors.${failure.text}`)}</p>
        <p className="note-code">{t('errors.code', { code: failure.code })}</p>
      </div>
      {onPress === undefined ? null : (
        <Button className="button" onPress={onPress} data-testid={unsure ? 'look' : 'retry'}>
          {t(unsure ? 'common.look' : 'common.retry')}
        </Button>
      )}
    </div>
  );
}
