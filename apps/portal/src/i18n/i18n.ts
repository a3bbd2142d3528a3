import { createInstance, type i18n } from 'i18next';
import { initReactI18next } from 'react-i18next';
import { en } from './en.ts';
import { zhCN } from './zh-cn.ts';

/** The languages of the portal, by BCP 47 tag. */
export const LANGUAGES = { en: 'English', 'zh-CN': '简体中文' } as const;
/** One of them. */
export type Language = keyof typeof LANGUAGES;

/** The language to begin with: the one chosen before, else the browser's. */
export function firstLanguage(stored: string | null, preferred: readonly string[]): Language {
  if (stored === 'en' || stored === 'zh-CN') return stored;
  const known = preferred.find((tag) => /^(en|zh)\b/i.test(tag));
  return known !== undefined && /^zh\b/i.test(known) ? 'zh-CN' : 'en';
}

/** Makes the translator; every text is compiled in, so it is ready at once. */
export function createI18n(language: Language): i18n {
  const instance = createInstance();
  void instance.use(initReactI18next).init({
    lng: language,
    fallbackLng: 'en',
    resources: { en: { translation: en }, 'zh-CN': { translation: zhCN } },
    interpolation: { escapeValue: false },
    initAsync: false,
  });
  return instance;
}
