import { useQueryClient } from '@tanstack/react-query';
import { AlertCircle } from 'lucide-react';
import { useId, useState } from 'react';
import { Button, Form, Link } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { ClientError, displayName, type RecordsClient } from '@cloister/client';
import { FailureNote } from '../parts/states.tsx';
import { TextInput } from '../parts/text-input.tsx';
import { isSignedOut } from '../session/failure.ts';
import { useSession } from '../session/session.ts';
import {
  checkDraft,
  errorsOfIssues,
  patientOf,
  type FieldErrors,
  type PatientDraft,
  type PatientField,
} from './patient-fields.ts';

const EMPTY: PatientDraft = { family: '', given: '', gender: '', birthDate: '', mrn: '' };

/** S5: a new patient. Errors stand at their fields, whoever found them: this page or the platform. */
export function PatientFormScreen() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { connection, end } = useSession();
  const [draft, setDraft] = useState(EMPTY);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [failure, setFailure] = useState<unknown>();
  const [similar, setSimilar] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [notThere, setNotThere] = useState(false);

  const set = (field: PatientField) => (value: string) => {
    setDraft({ ...draft, [field]: value });
    const { [field]: _fixed, ...rest } = errors;
    setErrors(rest);
    setSimilar(undefined);
  };
  const save = async (): Promise<void> => {
    setFailure(undefined);
    setNotThere(false);
    const wrong = checkDraft(draft, new Date());
    setErrors(wrong);
    if (Object.keys(wrong).length > 0) return;
    setBusy(true);
    try {
      if (similar === undefined) {
        const twin = await findTwin(connection.records, draft);
        if (twin !== undefined) {
          setSimilar(twin);
          return;
        }
      }
      const created = await connection.records.createPatient(patientOf(draft));
      await queries.invalidateQueries({ queryKey: ['patients'] });
      await navigate(`/patients/${created.id}`, { replace: true });
    } catch (error) {
      if (isSignedOut(error)) return end();
      const refused = error instanceof ClientError ? errorsOfIssues(error.issues) : {};
      if (Object.keys(refused).length > 0) setErrors(refused);
      else setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  /** Whether what may have been saved is there: then it is shown. What was typed stays otherwise. */
  const look = async (): Promise<void> => {
    const { family, mrn } = patientOf(draft);
    try {
      const found = await connection.records.searchPatients(family);
      const saved = found.find((patient) => patient.mrn === mrn);
      setFailure(undefined);
      setNotThere(saved === undefined);
      if (saved !== undefined) await navigate(`/patients/${saved.id}`, { replace: true });
    } catch (error) {
      if (isSignedOut(error)) end();
      else setFailure(error);
    }
  };
  const say = (field: PatientField): string | undefined => {
    const error = errors[field];
    return error === undefined ? undefined : t(`form.${error}`);
  };
  return (
    <section className="screen narrow">
      <header className="screen-head">
        <h1>{t('form.title')}</h1>
      </header>
      <p className="muted">{t('form.lead')}</p>
      <Form
        className="form panel padded"
        validationBehavior="aria"
        aria-label={t('form.title')}
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {Object.keys(errors).length === 0 ? null : (
          <p className="note note-critical" role="alert" data-testid="form-errors">
            {t('form.summary')}
          </p>
        )}
        <div className="form-grid">
          <TextInput
            label={t('form.family')}
            value={draft.family}
            onChange={set('family')}
            error={say('family')}
            testId="patient-family"
            autoFocus
          />
          <TextInput
            label={t('form.given')}
            value={draft.given}
            onChange={set('given')}
            error={say('given')}
            testId="patient-given"
          />
          <TextInput
            label={t('form.birthDate')}
            value={draft.birthDate}
            onChange={set('birthDate')}
            error={say('birthDate')}
            testId="patient-birthdate"
            type="date"
          />
          <GenderField value={draft.gender} onChange={set('gender')} error={say('gender')} />
          <TextInput
            label={t('form.mrn')}
            value={draft.mrn}
            onChange={set('mrn')}
            error={say('mrn')}
            testId="patient-mrn"
          />
        </div>
        {similar === undefined ? null : (
          <p className="note note-warn" role="alert" data-testid="patient-similar">
            {t('form.similar', { mrn: similar })}
          </p>
        )}
        {failure === undefined ? null : <FailureNote error={failure} onLook={() => void look()} />}
        {notThere ? (
          <p className="note" role="status" data-testid="patient-not-there">
            {t('form.notThere')}
          </p>
        ) : null}
        <div className="form-actions">
          <Link className="button" href="/patients">
            {t('common.cancel')}
          </Link>
          <Button
            type="submit"
            className="button primary"
            isDisabled={busy}
            data-testid="patient-save"
          >
            {t(busy ? 'form.saving' : 'form.save')}
          </Button>
        </div>
      </Form>
    </section>
  );
}

/** The record number of a patient of the same name and date of birth, where there is one. */
async function findTwin(records: RecordsClient, draft: PatientDraft): Promise<string | undefined> {
  const { family, given, birthDate } = patientOf(draft);
  const found = await records.searchPatients(family);
  const name = displayName(family, given).toLowerCase();
  const twin = found.find(
    (patient) => patient.birthDate === birthDate && patient.name.toLowerCase() === name,
  );
  return twin === undefined ? undefined : (twin.mrn ?? '–');
}

interface GenderProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly error: string | undefined;
}

/** A native select: keyboard, screen readers and touch know it already. */
function GenderField({ value, onChange, error }: GenderProps) {
  const { t } = useTranslation();
  const id = useId();
  const errorId = `${id}-error`;
  const genders = ['male', 'female', 'other', 'unknown'] as const;
  return (
    <div className="field">
      <label className="label" htmlFor={id}>
        {t('form.gender')}
      </label>
      <select
        id={id}
        className="input"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        aria-required
        aria-invalid={error !== undefined}
        aria-describedby={error === undefined ? undefined : errorId}
        data-testid="patient-gender"
      >
        <option value="" disabled>
          {t('form.choose')}
        </option>
        {genders.map((gender) => (
          <option key={gender} value={gender}>
            {t(`patients.genders.${gender}`)}
          </option>
        ))}
      </select>
      {error === undefined ? null : (
        <span className="field-error" id={errorId}>
          <AlertCircle size={14} aria-hidden />
          {error}
        </span>
      )}
    </div>
  );
}
