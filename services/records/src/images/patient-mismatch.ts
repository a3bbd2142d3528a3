import { isJsonObject, type JsonObject } from '@cloister/bytes';
import type { DicomFile } from '@cloister/clinical';
import { fold } from '../store/search-keys.ts';

/** Which attributes of an image may differ from the record of the patient it was uploaded for. */
export type Mismatch = 'name' | 'mrn' | 'birthDate' | 'sex';

/**
 * The attributes that an image states and that contradict the patient's record (spec clinical.md
 * 11, S6): names of attributes, never their values. What an image leaves out contradicts nothing.
 */
export function patientMismatch(file: DicomFile, patient: JsonObject): Mismatch[] {
  const mismatch: Mismatch[] = [];
  if (file.patientName?.trim() && !sameName(file.patientName, patient)) mismatch.push('name');
  const mrn = file.patientId?.trim();
  const identifiers = objects(patient['identifier']).map(({ value }) => value);
  if (mrn && !identifiers.includes(mrn)) mismatch.push('mrn');
  const birth = file.patientBirthDate?.trim();
  const known = typeof patient['birthDate'] === 'string' ? patient['birthDate'] : '';
  if (birth && known !== '' && !birth.startsWith(known.replaceAll('-', '')))
    mismatch.push('birthDate');
  const sex = SEX[file.patientSex?.trim() ?? ''];
  if (sex !== undefined && patient['gender'] !== undefined && patient['gender'] !== sex)
    mismatch.push('sex');
  return mismatch;
}

const SEX: Readonly<Record<string, string>> = { M: 'male', F: 'female', O: 'other' };

/** Any component group of the DICOM name (PS3.5 6.2.1) against any name of the record, in any order. */
function sameName(text: string, patient: JsonObject): boolean {
  const groups = text.split('=').map((group) => bag(group.split('^').join(' ')));
  const names = objects(patient['name']).flatMap(({ family, given, text: whole }) => {
    const parts = [family, ...(Array.isArray(given) ? given : [])].filter(
      (p) => typeof p === 'string',
    );
    return [bag(parts.join(' ')), ...(typeof whole === 'string' ? [bag(whole)] : [])];
  });
  return groups.some((group) => group !== '' && names.includes(group));
}

/** The letters of a name, however it is cut and ordered; ideographic names have no cuts. */
function bag(name: string): string {
  const words = fold(name)
    .split(/[\s,]+/)
    .filter((word) => word !== '');
  return /\p{Script=Han}/u.test(name) ? words.join('') : words.toSorted().join(' ');
}

const objects = (value: unknown): JsonObject[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : [];
