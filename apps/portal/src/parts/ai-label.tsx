import { Sparkles } from 'lucide-react';
import { useTranslation } from 'react-i18next';

/** The label of everything that a model wrote: icon and words, never colour alone (11.1, rule 1). */
export function AiLabel() {
  const { t } = useTranslation();
  return (
    <span className="tag tag-ai">
      <Sparkles size={13} aria-hidden />
      {t('result.band')}
    </span>
  );
}
