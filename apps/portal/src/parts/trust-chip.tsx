import { LoaderCircle, ShieldAlert, ShieldCheck, ShieldX } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Button, Dialog, DialogTrigger, Heading, Popover } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { formatAgo, formatDateTime } from '../i18n/format.ts';
import { usePortal } from '../session/portal.ts';
import { useLanguage } from '../settings/language.ts';
import { reasonOf, type GateReport } from '../trust/gate-report.ts';
import { AgreementFacts } from './agreement-facts.tsx';
import { CheckTable } from './check-list.tsx';
import { Hash } from './hash.tsx';

/** The trust chip (spec/clinical.md 11.2): always visible, computed in this browser only. */
export function TrustChip() {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { report, checking, check } = usePortal();
  const now = useMinute();
  const passed = report.state === 'passed';
  const ago = formatAgo(report.at, now, language);
  const kind = !passed ? 'bad' : report.simulated ? 'simulated' : 'good';
  const Icon = { bad: ShieldX, simulated: ShieldAlert, good: ShieldCheck }[kind];
  const measured = report.measurement?.measured;
  return (
    <DialogTrigger>
      <Button className={`trust-chip trust-${kind}`} data-testid="trust-chip">
        {checking ? (
          <LoaderCircle size={16} className="spin" aria-hidden />
        ) : (
          <Icon size={16} aria-hidden />
        )}
        <span>
          {report.simulated ? `${t('simulated.chip')} · ` : ''}
          {passed ? t('trust.verified') : t('trust.notVerified')}
          <span className="wide-only"> · {ago}</span>
        </span>
      </Button>
      <Popover className="popover trust-popover" placement="bottom end">
        <Dialog className="dialog">
          <Heading slot="title" className="dialog-title">
            {t('trust.title')}
          </Heading>
          <ul className="trust-lines">
            {passed ? null : <li>{t(`reasons.${reasonOf(report.code ?? 'other')}`)}</li>}
            {passed ? <Promises report={report} /> : null}
            <li>{t('trust.when', { ago })}</li>
          </ul>
          {measured === undefined ? null : <Hash hex={measured} />}
          <AgreementFacts report={report} />
          <details className="disclosure">
            <summary>{t('common.details')}</summary>
            <p className="muted">
              {t('gate.verifiedAt')} {formatDateTime(report.at, language)}
            </p>
            <CheckTable checks={report.questions.flatMap(({ checks }) => checks)} />
          </details>
          <Button className="button" onPress={check} isDisabled={checking}>
            {checking ? t('trust.checking') : t('trust.recheck')}
          </Button>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}

/** What may be relied on where all checks passed, and only there. */
function Promises({ report }: { report: GateReport }) {
  const { t } = useTranslation();
  const { peer, simulated, measurement } = report;
  return (
    <>
      <li>{t(simulated ? 'trust.whoSimulated' : 'trust.who')}</li>
      <li>{t('trust.where', { tee: teeName(peer?.tee, simulated, t('simulated.chip')) })}</li>
      <li>{t('trust.which', { hash: measurement?.measured?.slice(0, 8) ?? '–' })}</li>
    </>
  );
}

/** The kind of hardware by its maker's name; simulated hardware says that first. */
export function teeName(
  tee: string | undefined,
  simulated: boolean,
  simulatedWord: string,
): string {
  const name = { sgx: 'Intel SGX', tdx: 'Intel TDX', snp: 'AMD SEV-SNP' }[tee ?? ''] ?? '–';
  return simulated ? `${name} (${simulatedWord})` : name;
}

/** The time, to the half minute. */
function useMinute(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 20_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
