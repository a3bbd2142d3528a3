import { ChevronRight, CircleCheck, CircleX, Clock3 } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import type { ModelView, ResultEvidence } from '@cloister/client';
import { formatDateTime } from '../i18n/format.ts';
import { useSession } from '../session/session.ts';
import { useLanguage } from '../settings/language.ts';
import { readEvidence, type Mark } from '../trust/result-evidence.ts';
import { Hash } from './hash.tsx';

interface EvidenceProps {
  readonly evidence: ResultEvidence | undefined;
  readonly model: ModelView | undefined;
}

/** "Evidence of this result" (spec/clinical.md 11.2): for whoever audits it. */
export function EvidencePanel({ evidence, model }: EvidenceProps) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const { manifest } = useSession().connection;
  if (evidence === undefined) return <p className="muted">{t('evidence.absent')}</p>;
  const { facts, simulated, receipt } = readEvidence(evidence, model, manifest);
  return (
    <details className="disclosure evidence" data-testid="result-evidence">
      <summary>
        <ChevronRight size={15} aria-hidden />
        {t('evidence.title')}
      </summary>
      <p className="muted small">{t('evidence.lead')}</p>
      <dl className="evidence-facts">
        {simulated === undefined ? null : (
          <div>
            <dt>{t('evidence.simulated')}</dt>
            <dd className={simulated ? 'mark-warn' : undefined}>
              {t(simulated ? 'evidence.simulatedYes' : 'evidence.simulatedNo')}
            </dd>
          </div>
        )}
        {facts.map(({ id, value, mark }) => (
          <div key={id}>
            <dt>
              {t(`evidence.${id}`)} <MarkSign mark={mark} />
            </dt>
            <dd>{/^[0-9a-f]{64}$/.test(value) ? <Hash hex={value} /> : <code>{value}</code>}</dd>
          </div>
        ))}
        {receipt === undefined ? null : (
          <div>
            <dt>{t('evidence.receiptTime')}</dt>
            <dd>{formatDateTime(new Date(receipt.iat * 1000), language)}</dd>
          </div>
        )}
        {evidence.receipt === undefined ? null : (
          <div>
            <dt>{t('evidence.receipt')}</dt>
            <dd>
              <code className="jws" tabIndex={0}>
                {evidence.receipt}
              </code>
            </dd>
          </div>
        )}
      </dl>
      {evidence.receipt === undefined ? null : (
        <p className="muted small">{t('evidence.receiptNote')}</p>
      )}
    </details>
  );
}

const SIGNS = {
  'as-agreed': { kind: 'mark-ok', Icon: CircleCheck, text: 'asAgreed' },
  'not-as-agreed': { kind: 'mark-bad', Icon: CircleX, text: 'notAsAgreed' },
  current: { kind: 'mark-ok', Icon: CircleCheck, text: 'current' },
  older: { kind: 'mark-warn', Icon: Clock3, text: 'older' },
} as const;

function MarkSign({ mark }: { mark: Mark }) {
  const { t } = useTranslation();
  if (mark === 'none') return null;
  const { kind, Icon, text } = SIGNS[mark];
  return (
    <span className={kind}>
      <Icon size={13} aria-hidden /> {t(`evidence.${text}`)}
    </span>
  );
}
