import type { Gender, Issue, NewPatient } from '@cloister/client';

/** What the form holds while it is being filled. */
export type PatientDraft = Readonly<Record<PatientField, string>>;
/** A field of the form. */
export type PatientField = 'family' | 'given' | 'gender' | 'birthDate' | 'mrn';
/** The fields in the order in which they appear. */
const PATIENT_FIELDS: readonly PatientField[] = ['family', 'given', 'birthDate', 'gender', 'mrn'];
/** What is wrong with a field (keys of the texts under `form`). */
export type FieldError =
  | 'required'
  | 'tooLong'
  | 'dateInvalid'
  | 'dateFuture'
  | 'dateTooOld'
  | 'mrnInvalid'
  | 'refused'
  | 'duplicate';
/** The fields that are wrong. */
export type FieldErrors = Readonly<Partial<Record<PatientField, FieldError>>>;

const GENDERS: readonly Gender[] = ['male', 'female', 'other', 'unknown'];
const LONGEST = 100;

/** What is wrong with a draft on a day; an empty object where nothing is. */
export function checkDraft(draft: PatientDraft, today: Date): FieldErrors {
  const errors: Partial<Record<PatientField, FieldError>> = {};
  for (const field of PATIENT_FIELDS) {
    const value = draft[field].trim();
    if (value === '') errors[field] = 'required';
    else if (value.length > LONGEST) errors[field] = 'tooLong';
  }
  if (errors.birthDate === undefined) {
    const wrong = checkDate(draft.birthDate.trim(), today);
    if (wrong !== undefined) errors.birthDate = wrong;
  }
  if (errors.mrn === undefined && !/^[\p{L}\p{N}./-]+$/u.test(draft.mrn.trim()))
    errors.mrn = 'mrnInvalid';
  if (errors.gender === undefined && genderOf(draft.gender) === undefined)
    errors.gender = 'required';
  return errors;
}

function checkDate(text: string, today: Date): FieldError | undefined {
  const date = new Date(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(date.getTime())) return 'dateInvalid';
  if (date.toISOString().slice(0, 10) !== text) return 'dateInvalid';
  const local = Date.UTC(today.getFullYear(), today.getMonth(), today.getDate());
  if (date.getTime() > local) return 'dateFuture';
  return date.getUTCFullYear() < today.getFullYear() - 130 ? 'dateTooOld' : undefined;
}

function genderOf(text: string): Gender | undefined {
  return GENDERS.find((gender) => gender === text);
}

/** The patient that a draft without errors describes. */
export function patientOf(draft: PatientDraft): NewPatient {
  return {
    family: draft.family.trim(),
    given: draft.given.trim(),
    gender: genderOf(draft.gender) ?? 'unknown',
    birthDate: draft.birthDate.trim(),
    mrn: draft.mrn.trim(),
  };
}

const PATHS: readonly (readonly [RegExp, PatientField])[] = [
  [/birthDate/, 'birthDate'],
  [/gender/, 'gender'],
  [/identifier/, 'mrn'],
  [/name.*given/, 'given'],
  [/name/, 'family'],
];

/** Which fields the server's issues are about, by their FHIRPath (OperationOutcome.expression). */
export function errorsOfIssues(issues: readonly Issue[]): FieldErrors {
  const errors: Partial<Record<PatientField, FieldError>> = {};
  for (const { code, expression } of issues) {
    if (code === 'duplicate') errors.mrn = 'duplicate';
    const field = PATHS.find(([path]) => path.test(expression ?? ''))?.[1];
    if (field !== undefined) errors[field] ??= code === 'required' ? 'required' : 'refused';
  }
  return errors;
}
