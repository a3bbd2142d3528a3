import { useTranslation } from 'react-i18next';
import { ageOn } from '../i18n/format.ts';

/** Ages today, in the reader's words. */
export function useAge(): (birthDate: string | undefined) => string {
  const { t } = useTranslation();
  return (birthDate) => {
    const age = ageOn(birthDate, new Date());
    return age === undefined ? '–' : t(`patients.${age.unit}`, { count: age.count });
  };
}
