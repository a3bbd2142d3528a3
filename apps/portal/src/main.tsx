import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { createI18n, firstLanguage } from './i18n/i18n.ts';
import { readPreference } from './settings/preferences.ts';
import { parsePins } from './trust/pins.ts';

/** JSON text of the pins file; put in by the build (vite.config.ts). */
declare const CLOISTER_PORTAL_PINS: string;

const root = document.getElementById('root');
if (root !== null) {
  const language = firstLanguage(readPreference('language'), navigator.languages);
  createRoot(root).render(
    <App i18n={createI18n(language)} pins={parsePins(CLOISTER_PORTAL_PINS)} />,
  );
}
