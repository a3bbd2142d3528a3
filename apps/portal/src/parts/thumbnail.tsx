import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useRendered } from '../image/use-rendered.ts';

const SIZE = 96;

/** A study's image, small, on a canvas: no URL of it ever exists. */
export function Thumbnail({ study }: { study: string }) {
  const { t } = useTranslation();
  const { image } = useRendered(study);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (image === undefined || context === null || context === undefined) return;
    const scale = Math.min((SIZE * 2) / image.width, (SIZE * 2) / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    context.clearRect(0, 0, SIZE * 2, SIZE * 2);
    context.drawImage(image, SIZE - width / 2, SIZE - height / 2, width, height);
  }, [image]);
  return (
    <canvas
      ref={canvas}
      className="thumbnail"
      width={SIZE * 2}
      height={SIZE * 2}
      role="img"
      aria-label={t('viewer.label')}
    />
  );
}
