import { ChevronRight, ImageUp, TriangleAlert } from 'lucide-react';
import { useId, useRef, useState } from 'react';
import { Button, Link } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { ClientError, type PatientView } from '@cloister/client';
import type { Mismatch } from '../upload/mismatch.ts';
import { failureOf } from '../session/failure.ts';
import { usePortal } from '../session/portal.ts';
import { useUpload, type UploadState } from '../upload/use-upload.ts';
import { FailureNote } from './states.tsx';
import { UploadProgress } from './upload-progress.tsx';

/** S6: an image goes into the record: parsing, encrypting, sending, stored. */
export function UploadPanel({ patient }: { patient: PatientView }) {
  const { t } = useTranslation();
  const { stopped } = usePortal();
  const { state, choose, confirm, cancel, reset } = useUpload(patient);
  return (
    <section className="panel padded upload" aria-label={t('upload.title')} data-testid="upload">
      {state.at === 'idle' ? <DropZone onFile={choose} stopped={stopped !== undefined} /> : null}
      <UploadProgress state={state} onCancel={cancel} />
      {state.at === 'mismatch' ? (
        <MismatchNote mismatches={state.mismatches} onConfirm={confirm} onDiscard={reset} />
      ) : null}
      {state.at === 'refused' ? (
        <p className="note note-critical" role="alert" data-testid="upload-refused">
          {t(`upload.errors.${state.refusal}`)}
        </p>
      ) : null}
      {state.at === 'failed' ? <UploadFailure error={state.error} /> : null}
      {state.at === 'cancelled' ? (
        <p
          className="note"
          role="status"
          data-testid="upload-cancelled"
          data-outcome={state.outcome}
        >
          {t(`upload.cancelled.${state.outcome}`)}
        </p>
      ) : null}
      {state.at === 'stored' ? <StoredMismatch fields={state.stored.mismatch} /> : null}
      <div className="upload-actions">
        {state.at === 'stored' ? (
          <Link
            className="button primary"
            href={`/patients/${patient.id}/studies/${state.stored.study}`}
            data-testid="upload-open"
          >
            {t('record.open')}
            <ChevronRight size={16} aria-hidden />
          </Link>
        ) : null}
        {isOver(state) ? (
          <Button className="button" onPress={reset} data-testid="upload-another">
            {t('upload.another')}
          </Button>
        ) : null}
      </div>
    </section>
  );
}

function isOver(state: UploadState): boolean {
  if (state.at === 'cancelled') return state.outcome !== 'looking';
  return state.at === 'stored' || state.at === 'refused' || state.at === 'failed';
}

interface DropProps {
  readonly onFile: (file: File) => void;
  /** Whether nothing may be sent now. */
  readonly stopped: boolean;
}

function DropZone({ onFile, stopped }: DropProps) {
  const { t } = useTranslation();
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const take = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file !== undefined && !stopped) onFile(file);
  };
  return (
    <div
      className={over ? 'drop drop-over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer.files);
      }}
    >
      <ImageUp size={26} aria-hidden />
      <label htmlFor={id} className="drop-text">
        <span className="drop-title">{t('upload.drop')}</span>
        <span className="muted">{t(stopped ? 'trust.stoppedTitle' : 'upload.hint')}</span>
      </label>
      <input
        ref={input}
        id={id}
        type="file"
        className="file-input"
        disabled={stopped}
        accept=".dcm,.png,.jpg,.jpeg,application/dicom,image/png,image/jpeg"
        data-testid="upload-input"
        onChange={(event) => {
          take(event.target.files);
          event.target.value = '';
        }}
      />
      <Button
        className="button"
        onPress={() => input.current?.click()}
        isDisabled={stopped}
        excludeFromTabOrder
      >
        {t('upload.choose')}
      </Button>
    </div>
  );
}

interface MismatchProps {
  readonly mismatches: readonly Mismatch[];
  readonly onConfirm: () => void;
  readonly onDiscard: () => void;
}

function MismatchNote({ mismatches, onConfirm, onDiscard }: MismatchProps) {
  const { t } = useTranslation();
  const fields = mismatches.map(({ field }) => t(`upload.fields.${field}`)).join(', ');
  return (
    <div className="note note-warn tall" role="alert" data-testid="upload-mismatch">
      <TriangleAlert size={20} aria-hidden />
      <div>
        <p className="note-title">{t('upload.mismatchTitle')}</p>
        <p>{t('upload.mismatchText', { fields })}</p>
        <table className="small-table">
          <thead>
            <tr>
              <td />
              <th scope="col">{t('upload.inImage')}</th>
              <th scope="col">{t('upload.inRecord')}</th>
            </tr>
          </thead>
          <tbody>
            {mismatches.map(({ field, image, record }) => (
              <tr key={field}>
                <th scope="row">{t(`upload.fields.${field}`)}</th>
                <td>{image}</td>
                <td>{record}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <div className="note-actions">
          <Button className="button primary" onPress={onDiscard} data-testid="upload-discard">
            {t('upload.discard')}
          </Button>
          <Button className="button" onPress={onConfirm} data-testid="upload-anyway">
            {t('upload.uploadAnyway')}
          </Button>
        </div>
      </div>
    </div>
  );
}

function UploadFailure({ error }: { error: unknown }) {
  const { t } = useTranslation();
  if (error instanceof ClientError && error.code === 'unsure')
    return (
      <div className="note note-warn" role="alert" data-testid="upload-unsure">
        <TriangleAlert size={20} aria-hidden />
        <div>
          <p className="note-title">{t('upload.unsure')}</p>
          <p className="note-code">{t('errors.code', { code: failureOf(error).code })}</p>
        </div>
      </div>
    );
  const refused =
    error instanceof ClientError &&
    ['invalid', 'unsupported_media_type', 'refused'].includes(error.code);
  return (
    <>
      <p className="note note-critical" role="alert" data-testid="upload-failed">
        {t('upload.failed')} {refused ? t('upload.errors.refused') : ''}
      </p>
      <FailureNote error={error} />
    </>
  );
}

function fieldName(field: string, t: ReturnType<typeof useTranslation>['t']): string {
  return field === 'name' || field === 'mrn' || field === 'birthDate' || field === 'sex'
    ? t(`upload.fields.${field}`)
    : field;
}

/** What the platform found by itself, after its own reading of the image. */
function StoredMismatch({ fields }: { fields: readonly string[] }) {
  const { t } = useTranslation();
  if (fields.length === 0) return null;
  return (
    <p className="note note-warn" role="alert" data-testid="stored-mismatch">
      {t('upload.mismatchAfter', { fields: fields.map((field) => fieldName(field, t)).join(', ') })}
    </p>
  );
}
