import { useTranslation } from 'react-i18next';
import { formatScore } from '../i18n/format.ts';
import { scoreBand } from '../image/score-band.ts';
import { useLanguage } from '../settings/language.ts';

const WIDTH = 320;
const HEIGHT = 12;

/** The score on its scale, with the operating point as a tick: number, band, and place. */
export function ScoreBar({ score, threshold }: { score: number; threshold: number }) {
  const { t } = useTranslation();
  const [language] = useLanguage();
  const band = scoreBand(score, threshold);
  const where = { low: 'result.below', medium: 'result.above', high: 'result.far' } as const;
  const tick = threshold * WIDTH;
  return (
    <div className="score">
      <div className="score-head">
        <span className="score-label">{t('result.score')}</span>
        <strong className="score-number" data-testid="result-score" data-score={score}>
          {formatScore(score, language)}
        </strong>
        <span className={`band band-${band}`}>
          {{ low: '●', medium: '▲', high: '■' }[band]} {t(`result.bands.${band}`)}
        </span>
      </div>
      <svg
        className="score-bar"
        viewBox={`0 0 ${WIDTH} 34`}
        role="img"
        aria-label={`${t('result.score')} ${formatScore(score, language)}, ${t('result.threshold', { value: formatScore(threshold, language) })}`}
      >
        <rect className="score-track" x="0" y="4" width={WIDTH} height={HEIGHT} rx="3" />
        <rect
          className={`score-value score-value-${band}`}
          x="0"
          y="4"
          width={Math.max(2, Math.min(1, Math.max(0, score)) * WIDTH)}
          height={HEIGHT}
          rx="3"
        />
        <path className="score-tick" d={`M${tick} 0V20`} />
        <text className="score-text" x="0" y="32">
          0
        </text>
        <text className="score-text" x={tick} y="32" textAnchor="middle">
          {formatScore(threshold, language)}
        </text>
        <text className="score-text" x={WIDTH} y="32" textAnchor="end">
          1
        </text>
      </svg>
      <p className="score-where">
        {t(where[band])} · {t('result.threshold', { value: formatScore(threshold, language) })}
      </p>
      <p className="score-note">{t('result.scoreNote')}</p>
    </div>
  );
}
