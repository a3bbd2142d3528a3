import { Check, Languages, SunMoon } from 'lucide-react';
import { Button, Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { LANGUAGES, type Language } from '../i18n/i18n.ts';
import { useLanguage } from '../settings/language.ts';
import { THEMES, useTheme, type Theme } from '../settings/theme.ts';

/** The switches of language and theme: on every screen, also before sign-in. */
export function PreferencesMenu() {
  const { t } = useTranslation();
  const [language, setLanguage] = useLanguage();
  const [theme, setTheme] = useTheme();
  const languages = Object.entries(LANGUAGES).map(([id, label]) => ({ id, label, lang: id }));
  const themes = THEMES.map((id) => ({ id, label: t(`settings.themes.${id}`), lang: language }));
  return (
    <>
      <Choice
        label={t('settings.language')}
        text={LANGUAGES[language]}
        icon={<Languages size={17} aria-hidden />}
        items={languages}
        chosen={language}
        onChoose={(id) => {
          if (isLanguage(id)) setLanguage(id);
        }}
        testId="language"
      />
      <Choice
        label={t('settings.theme')}
        icon={<SunMoon size={17} aria-hidden />}
        items={themes}
        chosen={theme}
        onChoose={(id) => {
          const chosen = THEMES.find((one): one is Theme => one === id);
          if (chosen !== undefined) setTheme(chosen);
        }}
        testId="theme"
      />
    </>
  );
}

function isLanguage(id: string): id is Language {
  return id in LANGUAGES;
}

interface ChoiceProps {
  readonly label: string;
  readonly text?: string;
  readonly icon: React.ReactNode;
  readonly items: readonly { readonly id: string; readonly label: string; readonly lang: string }[];
  readonly chosen: string;
  readonly onChoose: (id: string) => void;
  readonly testId: string;
}

function Choice({ label, text, icon, items, chosen, onChoose, testId }: ChoiceProps) {
  return (
    <MenuTrigger>
      <Button
        className="quiet-button"
        aria-label={text === undefined ? label : `${label}: ${text}`}
        data-testid={testId}
      >
        {icon}
        {text === undefined ? null : <span className="wide-only">{text}</span>}
      </Button>
      <Popover className="popover menu-popover" placement="bottom end">
        <Menu
          className="menu"
          aria-label={label}
          selectionMode="single"
          disallowEmptySelection
          selectedKeys={[chosen]}
          onAction={(id) => onChoose(String(id))}
        >
          {items.map((item) => (
            <MenuItem
              key={item.id}
              id={item.id}
              textValue={item.label}
              className="menu-item"
              data-testid={`${testId}-${item.id}`}
            >
              {({ isSelected }) => (
                <>
                  <span lang={item.lang}>{item.label}</span>
                  {isSelected ? <Check size={15} aria-hidden /> : null}
                </>
              )}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
