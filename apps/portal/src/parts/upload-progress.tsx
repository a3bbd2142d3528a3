import { useTranslation } from 'react-i18next';
import { Button } from 'react-aria-components';
import { formatBytes } from '../i18n/format.ts';
import type { SentBytes } from '../session/upload-transport.ts';
import { useLanguage } from '../settings/language.ts';
import { UPLOAD_PHASES, type UploadState } from '../upload/use-upload.ts';
import { PhaseList, type Phase } from './phase-list.tsx';

interface ProgressProps {
  readonly state: UploadState;
  readonly onCancel: () => void;
}

/** How far an upload has come: its phases, the encrypted bytes that are out, and the way to stop it. */
export function UploadProgress({ state, onCancel }: ProgressProps) {
  const { t } = useTranslation();
  const now = UPLOAD_PHASES.findIndex((phase) => phase === state.at);
  if (now < 0) return null;
  const phases = UPLOAD_PHASES.map(
    (id, i): Phase => ({
      id,
      label: t(`upload.phases.${id}`),
      state: phaseState(i, now),
    }),
  );
  const progress = state.at === 'sending' ? state.progress : undefined;
  const complete = progress !== undefined && progress.sent >= progress.total;
  return (
    <div data-testid="upload-progress" data-phase={state.at}>
      <div role="status">
        <PhaseList phases={phases} label={t('upload.title')} row />
        {complete ? <p className="muted small">{t('upload.allSent')}</p> : null}
      </div>
      {progress === undefined ? null : <Bytes progress={progress} />}
      {state.at === 'encrypting' || (progress !== undefined && !complete) ? (
        <Button className="button" onPress={onCancel} data-testid="upload-cancel">
          {t('upload.cancel')}
        </Button>
      ) : null}
    </div>
  );
}

function phaseState(i: number, now: number): Phase['state'] {
  if (i < now || (i === now && i === UPLOAD_PHASES.length - 1)) return 'done';
  return i === now ? 'running' : 'waiting';
}

/** A native bar: screen readers tell it as it moves, and it needs no inline style. */
function Bytes({ progress: { sent, total } }: { progress: SentBytes }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const bytes = t('upload.bytes', {
    sent: formatBytes(sent, language),
    total: formatBytes(total, language),
  });
  return (
    <p className="upload-bytes">
      <progress
        className="progress"
        max={total}
        value={sent}
        aria-label={t('upload.phases.sending')}
        data-testid="upload-bar"
      />
      <span className="small" data-testid="upload-bytes">
        {bytes}
      </span>
    </p>
  );
}
