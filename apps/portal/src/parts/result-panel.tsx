import { Sparkles } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import type { FindingView, ModelView } from '@cloister/client';
import { formatDateTime } from '../i18n/format.ts';
import type { Result } from '../image/load-result.ts';
import { useLanguage } from '../settings/language.ts';
import { EvidencePanel } from './evidence-panel.tsx';
import { partyName } from './party-name.ts';
import { ScoreBar } from './score-bar.tsx';

/** S9: what a model suggests, and nothing that it does not: no diagnosis, no "normal". */
export function ResultPanel({ result }: { result: Result }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { finding, model, report } = result;
  const found = finding.score >= finding.threshold;
  return (
    <section
      className="panel result"
      aria-label={t('result.band')}
      data-testid="result"
      data-finding={found ? 'finding' : 'none'}
    >
      <div className="ai-band" data-testid="ai-band">
        <Sparkles size={16} aria-hidden />
        <strong>{t('result.band')}</strong>
        <span>{t('result.bandHint')}</span>
      </div>
      <div className="result-body">
        <div>
          <p className="over">{t('result.finding')}</p>
          <p className="finding" data-testid="result-finding">
            {found ? <FindingName finding={finding} /> : t('result.noFinding')}
          </p>
          {found ? null : <p className="finding-note">{t('result.noFindingNote')}</p>}
        </div>
        <ScoreBar score={finding.score} threshold={finding.threshold} />
        <dl className="facts">
          <dt>{t('result.status')}</dt>
          <dd>
            {finding.status === 'preliminary' ? t('result.preliminaryStatus') : finding.status}
            {report.issued === undefined ? '' : ` · ${formatDateTime(report.issued, language)}`}
          </dd>
          {model === undefined ? null : <ModelFacts model={model} />}
        </dl>
        <EvidencePanel evidence={result.evidence} model={model} />
      </div>
    </section>
  );
}

/** The finding in the reader's language where its code is known, else as the platform says it. */
function FindingName({ finding }: { finding: FindingView }) {
  const { t } = useTranslation();
  if (finding.finding?.code === '233604007') return t('result.codes.233604007');
  return finding.finding?.text ?? t('common.unknown');
}

function ModelFacts({ model }: { model: ModelView }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const known = model.name === 'cxr-pneumonia-cam';
  // The provider's own words are English; where this portal knows the model, it says the same in
  // the reader's language.
  const intendedUse =
    known && (language !== 'en' || model.note === undefined)
      ? t('result.models.cxr-pneumonia-cam.intendedUse')
      : (model.note ?? t('result.intendedUnknown'));
  const limits = known ? t('result.models.cxr-pneumonia-cam.limits') : undefined;
  return (
    <>
      <dt>{t('result.model')}</dt>
      <dd data-testid="result-model">
        {model.name}, {t('result.version')} {model.version}
        {model.manufacturer === undefined ? '' : ` · ${partyName(model.manufacturer, t)}`}
      </dd>
      <dt>{t('result.intendedUse')}</dt>
      <dd>{intendedUse}</dd>
      {limits === undefined ? null : (
        <>
          <dt>{t('result.limits')}</dt>
          <dd>{limits}</dd>
        </>
      )}
    </>
  );
}
