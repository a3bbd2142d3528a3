import { CircleCheck, CircleDashed, CircleX } from 'lucide-react';
import type { Check } from '@cloister/attestation';
import { useTranslation } from 'react-i18next';

const ICONS = { passed: CircleCheck, failed: CircleX, skipped: CircleDashed };

/** Every check of a verification, with what came of it: a table for whoever wants to know. */
export function CheckTable({ checks }: { checks: readonly Check[] }) {
  const { t } = useTranslation();
  return (
    <ul className="checks">
      {checks.map(({ check, outcome, code, detail }, i) => {
        const Icon = ICONS[outcome];
        return (
          <li key={i} className={`check check-${outcome}`}>
            <Icon size={15} aria-hidden />
            <span className="check-name">{check}</span>
            <span className="check-outcome">{t(`gate.outcome.${outcome}`)}</span>
            {code === undefined && detail === undefined ? null : (
              <span className="check-detail">{[code, detail].filter(Boolean).join(' · ')}</span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
