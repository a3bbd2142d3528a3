import { User } from 'lucide-react';
import { Link } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import type { PatientView } from '@cloister/client';
import { formatDate } from '../i18n/format.ts';
import { useLanguage } from '../settings/language.ts';
import { useAge } from './use-age.ts';

/** Who this is: always visible in a patient's record (S4). */
export function PatientBanner({ patient, link = false }: { patient: PatientView; link?: boolean }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const age = useAge();
  return (
    <header className="patient-banner" data-testid="patient-banner">
      <span className="avatar">
        <User size={20} aria-hidden />
      </span>
      <h1 className="patient-name">
        {link ? <Link href={`/patients/${patient.id}`}>{patient.name}</Link> : patient.name}
      </h1>
      <dl className="banner-facts">
        <div>
          <dt>{t('patients.mrn')}</dt>
          <dd className="cell-code">{patient.mrn ?? '–'}</dd>
        </div>
        <div>
          <dt>{t('patients.birthDate')}</dt>
          <dd>{patient.birthDate === undefined ? '–' : formatDate(patient.birthDate, language)}</dd>
        </div>
        <div>
          <dt>{t('patients.age')}</dt>
          <dd>{age(patient.birthDate)}</dd>
        </div>
        <div>
          <dt>{t('patients.gender')}</dt>
          <dd>{t(`patients.genders.${patient.gender}`)}</dd>
        </div>
      </dl>
    </header>
  );
}
