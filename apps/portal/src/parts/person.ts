import type { PatientView } from '@cloister/client';

/** Initials for places that others may see: 张 for Chinese names, M. L. for others. */
export function initialsOf({ family, given, name }: PatientView): string {
  if (/\p{Script=Han}/u.test(name)) return `${firstOf(name)}*`;
  const initials = [given, family].map(firstOf).filter((letter) => letter !== '');
  return initials.map((letter) => `${letter.toUpperCase()}.`).join(' ') || '–';
}

/** The first character; one outside the basic plane counts as one. */
function firstOf(text: string): string {
  const code = text.codePointAt(0);
  return code === undefined ? '' : String.fromCodePoint(code);
}

/** The last four characters of a record number. */
export function tailOf(mrn: string | undefined): string {
  return mrn === undefined ? '–' : `…${mrn.slice(-4)}`;
}
