import { useCallback, useEffect, useState } from 'react';
import { keepPreference, readPreference } from './preferences.ts';

/** The themes that can be chosen. */
export const THEMES = ['system', 'light', 'dark', 'reading'] as const;
/** One of them. */
export type Theme = (typeof THEMES)[number];

/** The chosen theme, applied to the page, and the function that chooses another. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState<Theme>(
    () => THEMES.find((one) => one === readPreference('theme')) ?? 'system',
  );
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  const choose = useCallback((next: Theme) => {
    keepPreference('theme', next);
    setTheme(next);
  }, []);
  return [theme, choose];
}
