import {
  ArrowRight,
  ChevronRight,
  CircleCheck,
  CircleDashed,
  CircleX,
  Download,
  LoaderCircle,
  OctagonX,
  TriangleAlert,
} from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Button } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { AgreementFacts } from '../parts/agreement-facts.tsx';
import { CheckTable } from '../parts/check-list.tsx';
import { Hash } from '../parts/hash.tsx';
import { Mark } from '../parts/mark.tsx';
import { partyName } from '../parts/party-name.ts';
import { PreferencesMenu } from '../parts/preferences-menu.tsx';
import { teeName } from '../parts/trust-chip.tsx';
import { formatDateTime } from '../i18n/format.ts';
import { usePortal } from '../session/portal.ts';
import { useLanguage } from '../settings/language.ts';
import { reasonOf, type GateReport, type Question } from '../trust/gate-report.ts';

/** S0: before it has passed there is no form on the page (spec/clinical.md 11). */
export function GateScreen() {
  const { t } = useTranslation();
  const { report, checking, check, enter } = usePortal();
  const passed = report.state === 'passed';
  return (
    <div className="gate-page">
      <header className="gate-top">
        <div className="brand">
          <Mark />
          <span className="brand-name">{t('product')}</span>
          <span className="brand-place">{report.manifest?.deployment ?? t('tagline')}</span>
        </div>
        <div className="top-tools">
          <PreferencesMenu />
        </div>
      </header>
      <main className="gate" data-testid="gate" data-state={report.state} id="content">
        <div className="gate-head">
          <div>
            <h1>{t('gate.title')}</h1>
            <p role="status" className="gate-status">
              {report.state === 'checking' ? t('gate.checking') : null}
              {passed ? t(report.simulated ? 'gate.passedSimulated' : 'gate.passed') : null}
            </p>
          </div>
          {passed ? <ContinueButton onPress={enter} /> : null}
        </div>
        <Blocked report={report} onRetry={check} checking={checking} />
        {report.simulated && report.state !== 'checking' ? (
          <section className="simulated-card" data-testid="gate-simulated">
            <TriangleAlert size={22} aria-hidden />
            <div>
              <h2>{t('simulated.title')}</h2>
              <p>{t('simulated.text')}</p>
            </div>
          </section>
        ) : null}
        <ol className="questions">
          {report.questions.map((question, i) => (
            <QuestionCard key={question.id} number={i + 1} question={question} report={report} />
          ))}
        </ol>
        <AgreementFacts report={report} />
        <Build report={report} />
        <div className="gate-foot">
          <p className="gate-lead">{t('gate.lead')}</p>
          <EvidenceDownload evidence={report.evidence} />
        </div>
      </main>
    </div>
  );
}

function ContinueButton({ onPress }: { onPress: () => void }) {
  const { t } = useTranslation();
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => ref.current?.focus({ preventScroll: true }), []);
  return (
    <Button
      ref={ref}
      className="button primary large"
      onPress={onPress}
      data-testid="gate-continue"
    >
      {t('common.continue')}
      <ArrowRight size={18} aria-hidden />
    </Button>
  );
}

interface BlockedProps {
  readonly report: GateReport;
  readonly onRetry: () => void;
  readonly checking: boolean;
}

function Blocked({ report, onRetry, checking }: BlockedProps) {
  const { t } = useTranslation();
  const { state, code = 'other', at } = report;
  if (state !== 'blocked' && state !== 'unreachable') return null;
  const blocked = state === 'blocked';
  return (
    <section
      className={blocked ? 'block block-hard' : 'block'}
      role="alert"
      data-testid={blocked ? 'gate-blocked' : 'gate-unreachable'}
      data-code={code}
    >
      <OctagonX size={30} aria-hidden />
      <div>
        <h2>{t(blocked ? 'gate.blockedTitle' : 'gate.unreachableTitle')}</h2>
        <p className="block-reason">{t(`reasons.${reasonOf(code)}`)}</p>
        <h3>{t('gate.whatToDo')}</h3>
        <p>{t(blocked ? 'gate.blockedAction' : 'gate.unreachableAction')}</p>
        <p className="block-reference">
          {t('gate.reference')}: <code>{`${code} · ${at.toISOString()}`}</code>
        </p>
        <Button className="button" onPress={onRetry} isDisabled={checking} data-testid="gate-retry">
          {checking ? t('gate.checking') : t('common.retry')}
        </Button>
      </div>
    </section>
  );
}

const ICONS = {
  passed: CircleCheck,
  failed: CircleX,
  skipped: CircleDashed,
  pending: LoaderCircle,
};

interface QuestionCardProps {
  readonly number: number;
  readonly question: Question;
  readonly report: GateReport;
}

function QuestionCard({ number, question, report }: QuestionCardProps) {
  const { t } = useTranslation();
  const { id, outcome, checks } = question;
  const Icon = ICONS[outcome];
  const simulated = report.simulated && id === 'hardware';
  return (
    <li
      className={`question question-${outcome}${simulated && outcome === 'passed' ? ' question-simulated' : ''}`}
      data-testid={`question-${id}`}
      data-outcome={outcome}
    >
      <span className="question-icon">
        {simulated && outcome === 'passed' ? (
          <TriangleAlert size={22} aria-hidden />
        ) : (
          <Icon size={22} className={outcome === 'pending' ? 'spin' : undefined} aria-hidden />
        )}
      </span>
      <div className="question-body">
        <h2>
          <span className="question-number">{number}</span>
          {id === 'hardware' ? t(`gate.questions.hardware.title`) : t(`gate.questions.${id}.title`)}
        </h2>
        <p className="question-answer">{answerOf(question, report.simulated, t)}</p>
        {id === 'code' ? <Comparison report={report} /> : null}
        {id === 'hardware' ? <HardwareFacts report={report} /> : null}
        {id === 'channel' ? <ChannelFacts report={report} /> : null}
        {checks.length === 0 ? null : (
          <details className="disclosure">
            <summary>
              <ChevronRight size={15} aria-hidden />
              {t('gate.checks', { count: checks.length })}
            </summary>
            <CheckTable checks={checks} />
          </details>
        )}
      </div>
    </li>
  );
}

type Translate = ReturnType<typeof useTranslation>['t'];

function answerOf({ id, outcome }: Question, simulated: boolean, t: Translate): string {
  if (outcome === 'pending') return t('gate.questions.pending');
  if (outcome === 'skipped') return t('gate.questions.skipped');
  if (outcome === 'failed') return t(`gate.questions.${id}.fail`);
  if (id === 'hardware' && simulated) return t('gate.questions.hardware.passSimulated');
  return t(`gate.questions.${id}.pass`);
}

function Comparison({ report }: { report: GateReport }) {
  const { t } = useTranslation();
  const { measurement, manifest } = report;
  if (measurement?.measured === undefined) return null;
  const equal = measurement.agreed.includes(measurement.measured);
  const shown = equal ? measurement.measured : measurement.agreed[0];
  return (
    <>
      <dl className={equal ? 'comparison comparison-equal' : 'comparison comparison-different'}>
        <dt>{t('gate.agreed')}</dt>
        <dd>{shown === undefined ? '–' : <Hash hex={shown} testId="hash-agreed" />}</dd>
        <dt>{t('gate.measured')}</dt>
        <dd>
          <Hash hex={measurement.measured} testId="hash-measured" />
        </dd>
        <dd className="comparison-mark">
          {equal ? <CircleCheck size={16} aria-hidden /> : <CircleX size={16} aria-hidden />}
          {t(equal ? 'gate.equal' : 'gate.different')}
        </dd>
      </dl>
      {manifest === undefined ? null : (
        <p className="muted">
          {t('gate.signedBy', {
            serial: manifest.serial,
            parties: manifest.signers.map((party) => partyName(party, t)).join(', '),
          })}
        </p>
      )}
    </>
  );
}

function HardwareFacts({ report }: { report: GateReport }) {
  const { t } = useTranslation();
  const { peer, simulated } = report;
  if (peer === undefined) return null;
  const { claims } = peer;
  return (
    <dl className="facts">
      <dt>{t('gate.hardwareKind')}</dt>
      <dd>{teeName(peer.tee, simulated, t('simulated.chip'))}</dd>
      {'tcbStatus' in claims ? (
        <>
          <dt>{t('gate.firmware')}</dt>
          <dd>{claims.tcbStatus}</dd>
        </>
      ) : null}
      <dt>{t('gate.token')}</dt>
      <dd>{t(peer.tokenClaims === undefined ? 'gate.tokenAbsent' : 'gate.tokenAgrees')}</dd>
    </dl>
  );
}

function ChannelFacts({ report }: { report: GateReport }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  if (report.peer === undefined) return null;
  return (
    <dl className="facts">
      <dt>{t('gate.nonce')}</dt>
      <dd>{t('common.yes')}</dd>
      <dt>{t('gate.verifiedAt')}</dt>
      <dd>{formatDateTime(report.at, language)}</dd>
    </dl>
  );
}

function Build({ report }: { report: GateReport }) {
  const { t } = useTranslation();
  if (report.manifest === undefined) return null;
  const { build } = report.manifest;
  return (
    <section className="build" data-testid="portal-build">
      <h2>{t('gate.build')}</h2>
      {build === undefined ? <p>{t('gate.buildUnknown')}</p> : <Hash hex={build} />}
      <p className="muted">{t('gate.buildNote')}</p>
    </section>
  );
}

function EvidenceDownload({ evidence }: { evidence: string | undefined }) {
  const { t } = useTranslation();
  if (evidence === undefined) return null;
  const download = () => {
    const url = URL.createObjectURL(new Blob([evidence], { type: 'application/json' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = 'evidence.json';
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <Button className="button" onPress={download}>
      <Download size={16} aria-hidden />
      {t('gate.downloadEvidence')}
    </Button>
  );
}
