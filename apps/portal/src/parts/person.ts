import type { PatientView } from '@cloister/client';

/** Initials for places that others may see: 张 for Chinese names, M. L. for others. */
export function initialsOf({ family, given, name }: PatientView): string {
  if (/\p{Script=Han}/u.test(name)) return `${[...name][0] ?? ''}*`;
  const first = (text: string) => (text === '' ? '' : `${[...text][0]?.toUpperCase() ?? ''}.`);
  return [first(given), first(family)].filter((part) => part !== '').join(' ') || '–';
}

/** The last four characters of a record number. */
export function tailOf(mrn: string | undefined): string {
  return mrn === undefined ? '–' : `…${mrn.slice(-4)}`;
}
