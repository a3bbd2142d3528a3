import type { PatientView } from '@cloister/client';

/** What an image says about whom it shows; all of it may be absent. */
export interface ImageIdentity {
  /** DICOM PN: components by ^, representations by =. */
  readonly patientName?: string | undefined;
  readonly patientId?: string | undefined;
  /** DICOM DA: YYYYMMDD. */
  readonly patientBirthDate?: string | undefined;
}

/** One attribute in which image and record differ. */
export interface Mismatch {
  readonly field: 'name' | 'mrn' | 'birthDate';
  readonly image: string;
  readonly record: string;
}

/**
 * Compares an image's header with the record. What either side does not say is no mismatch;
 * names are equal where any representation has the same letters, whatever their order or case.
 */
export function mismatchesOf(image: ImageIdentity, patient: PatientView): Mismatch[] {
  const found: Mismatch[] = [];
  const names = (image.patientName ?? '').split('=').filter((name) => lettersOf(name) !== '');
  const own = new Set([lettersOf(`${patient.family} ${patient.given}`), lettersOf(patient.name)]);
  if (names.length > 0 && !names.some((name) => own.has(lettersOf(name))))
    found.push({ field: 'name', image: displayPn(names[0] ?? ''), record: patient.name });
  const id = (image.patientId ?? '').trim();
  if (id !== '' && patient.mrn !== undefined && id.toLowerCase() !== patient.mrn.toLowerCase())
    found.push({ field: 'mrn', image: id, record: patient.mrn });
  const match = /^(\d{4})(\d{2})(\d{2})$/.exec((image.patientBirthDate ?? '').trim());
  if (match !== null && patient.birthDate !== undefined) {
    const date = match.slice(1).join('-');
    if (!date.startsWith(patient.birthDate))
      found.push({ field: 'birthDate', image: date, record: patient.birthDate });
  }
  return found;
}

/** The letters of a name, sorted by words: neither order nor punctuation nor case count. */
function lettersOf(name: string): string {
  const plain = name.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  if (/\p{Script=Han}/u.test(plain)) return plain.replaceAll(/[^\p{L}]/gu, '');
  return [...(plain.match(/[\p{L}\p{N}]+/gu) ?? [])].toSorted().join(' ');
}

function displayPn(name: string): string {
  return name
    .split('^')
    .filter((part) => part !== '')
    .join(' ');
}
