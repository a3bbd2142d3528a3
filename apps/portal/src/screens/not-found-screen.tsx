import { Link } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { Empty } from '../parts/states.tsx';

/** There is no such page. */
export function NotFoundScreen() {
  const { t } = useTranslation();
  return (
    <Empty title={t('errors.title')} hint={t('errors.not_found')}>
      <Link className="button" href="/patients">
        {t('nav.patients')}
      </Link>
    </Empty>
  );
}
