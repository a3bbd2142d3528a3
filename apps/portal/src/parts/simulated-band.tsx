import { TriangleAlert } from 'lucide-react';
import { useTranslation } from 'react-i18next';

/** Says on every screen, and loudly, that no hardware protects anything here (design 2.1, rule 9). */
export function SimulatedBand() {
  const { t } = useTranslation();
  return (
    <aside
      className="simulated-band"
      aria-label={t('simulated.title')}
      data-testid="simulated-band"
    >
      <TriangleAlert size={15} aria-hidden />
      {t('simulated.band')}
    </aside>
  );
}
