import { useTranslation } from 'react-i18next';
import { formatDateTime } from '../i18n/format.ts';
import { useLanguage } from '../settings/language.ts';
import type { GateReport } from '../trust/gate-report.ts';

/** What the agreement leaves open, and when the hospital confirmed it last (spec/key-broker.md 5.1). */
export function AgreementFacts({ report }: { report: GateReport }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { manifest, head } = report;
  if (manifest === undefined) return null;
  return (
    <section className="agreement" data-testid="agreement">
      <h2>{t('trust.agreement')}</h2>
      <dl className="facts">
        {manifest.hasBroker ? (
          <>
            <dt>{t('trust.head')}</dt>
            <dd data-testid="newest-head" data-time={head?.time} data-serial={head?.serial}>
              {head === undefined
                ? t('trust.headNone')
                : t('trust.headValue', {
                    time: formatDateTime(new Date(head.time * 1000), language),
                    serial: head.serial,
                  })}
            </dd>
          </>
        ) : null}
        <dt>{t('trust.machines')}</dt>
        <dd>{t(manifest.anyMachine ? 'trust.anyMachine' : 'trust.namedMachines')}</dd>
        <dt>{t('trust.identities')}</dt>
        <dd>
          {manifest.identities > 1
            ? t('trust.manyIdentities', { count: manifest.identities })
            : t('trust.oneIdentity')}
        </dd>
      </dl>
      {manifest.hasBroker ? null : (
        <div className="note note-warn tall" data-testid="no-broker">
          <div>
            <p className="note-title">{t('trust.noBrokerTitle')}</p>
            <p>{t('trust.noBroker')}</p>
            {manifest.vault === undefined ? null : (
              <p>{t('trust.vault', { host: manifest.vault })}</p>
            )}
          </div>
        </div>
      )}
    </section>
  );
}
