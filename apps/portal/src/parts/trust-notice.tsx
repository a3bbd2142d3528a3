import { ShieldCheck, ShieldX, X } from 'lucide-react';
import { useState } from 'react';
import { Button } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { formatDateTime } from '../i18n/format.ts';
import { usePortal } from '../session/portal.ts';
import { useLanguage } from '../settings/language.ts';
import { stopReasonOf } from '../trust/standing.ts';

/** Says on every screen that nothing is sent now and why, or that the agreement was renewed. */
export function TrustNotice() {
  const { stopped } = usePortal();
  return stopped === undefined ? <Renewed /> : <Stopped code={stopped} />;
}

function Stopped({ code }: { code: string }) {
  const { t } = useTranslation();
  const { report, checking, check } = usePortal();
  return (
    <section
      className="note note-critical tall trust-notice"
      role="alert"
      data-testid="trust-stopped"
      data-code={code}
    >
      <ShieldX size={22} aria-hidden />
      <div>
        <p className="note-title">{t('trust.stoppedTitle')}</p>
        <p>{t(`trust.stoppedReasons.${stopReasonOf(code)}`)}</p>
        <p>{t('trust.stoppedText')}</p>
        <p className="note-code">{`${code} · ${report.at.toISOString()}`}</p>
      </div>
      <Button className="button" onPress={check} isDisabled={checking}>
        {checking ? t('trust.checking') : t('trust.recheck')}
      </Button>
    </section>
  );
}

function Renewed() {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { renewed } = usePortal();
  const [closed, setClosed] = useState<number>();
  if (renewed === undefined || closed === renewed.to) return null;
  const { from, to, at } = renewed;
  return (
    <section className="note trust-notice" role="status" data-testid="trust-renewed">
      <ShieldCheck size={20} aria-hidden />
      <div>
        <p>{t('trust.renewed', { from, to, time: formatDateTime(at, language) })}</p>
      </div>
      <Button
        className="icon-button"
        aria-label={t('common.close')}
        onPress={() => setClosed(renewed.to)}
      >
        <X size={16} aria-hidden />
      </Button>
    </section>
  );
}
