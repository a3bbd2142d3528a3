import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { heatColour } from '../image/heat-map.ts';

const WIDTH = 128;

/** What the colours of the heat map mean, with numbers. */
export function Legend() {
  const { t } = useTranslation();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context === null || context === undefined) return;
    for (let x = 0; x < WIDTH; x++) {
      context.fillStyle = `rgb(${heatColour(x / (WIDTH - 1)).join(' ')})`;
      context.fillRect(x, 0, 1, 1);
    }
  }, []);
  return (
    <figure className="legend" data-testid="legend">
      <figcaption>{t('viewer.legend')}</figcaption>
      <canvas ref={canvas} width={WIDTH} height={1} className="legend-bar" aria-hidden />
      <div className="legend-numbers">
        <span>0</span>
        <span>0.25</span>
        <span>0.5</span>
        <span>0.75</span>
        <span>1</span>
      </div>
    </figure>
  );
}
