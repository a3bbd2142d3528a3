import { useCallback, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import type { Language } from '../i18n/i18n.ts';
import { keepPreference } from './preferences.ts';

/** The language in use, also on `<html lang>`, and the function that chooses another. */
export function useLanguage(): [Language, (language: Language) => void] {
  const { i18n, t } = useTranslation();
  const language: Language = i18n.language === 'zh-CN' ? 'zh-CN' : 'en';
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = `${t('product')} · ${t('tagline')}`;
  }, [language, t]);
  const choose = useCallback(
    (next: Language) => {
      keepPreference('language', next);
      void i18n.changeLanguage(next);
    },
    [i18n],
  );
  return [language, choose];
}
