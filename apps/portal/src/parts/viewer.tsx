import { Contrast, Flame, Maximize, ZoomIn, ZoomOut } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import {
  Button,
  Label,
  Slider,
  SliderOutput,
  SliderThumb,
  SliderTrack,
  ToggleButton,
} from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import type { HeatMap } from '@cloister/client';
import { heatPixels } from '../image/heat-map.ts';
import { useRendered } from '../image/use-rendered.ts';
import { FIT, panBy, placement, zoomBy, type View } from '../image/view.ts';
import { viewerAction } from '../image/viewer-keys.ts';
import { Legend } from './legend.tsx';

/** Opacity of the heat map to begin with, in per cent (spec/clinical.md 12). */
const OPACITY = 45;
const HEAT_SIZE = 256;

interface ViewerProps {
  readonly study: string;
  /** Only where the score is above the operating point. */
  readonly heat: HeatMap | undefined;
  /** Lines for the corner of the picture. */
  readonly corner: readonly string[];
}

/**
 * S8: the radiograph on a canvas, with the heat map over it. The pixels are drawn as they came:
 * the overlay is a layer of its own and can always be taken away.
 */
export function Viewer({ study, heat, corner }: ViewerProps) {
  const { t } = useTranslation();
  const { image, error } = useRendered(study);
  const [shown, setShown] = useState(true);
  const [opacity, setOpacity] = useState(OPACITY);
  const [inverted, setInverted] = useState(false);
  const [view, setView] = useState<View>(FIT);
  const overlay = useMemo(() => (heat === undefined ? undefined : overlayOf(heat)), [heat]);
  const { box, canvas } = useDrawing({
    image,
    overlay: shown ? overlay : undefined,
    opacity: opacity / 100,
    inverted,
    view,
  });

  const act = (event: React.KeyboardEvent) => {
    const action = viewerAction(event);
    if (action === undefined) return;
    event.preventDefault();
    if (action === 'heat') setShown((on) => !on);
    if (action === 'opacity-down') setOpacity((value) => Math.max(0, value - 5));
    if (action === 'opacity-up') setOpacity((value) => Math.min(100, value + 5));
    if (action === 'invert') setInverted((on) => !on);
    if (action === 'zoom-in') setView((before) => zoomBy(before, 1.25));
    if (action === 'zoom-out') setView((before) => zoomBy(before, 0.8));
    if (action === 'reset') setView(FIT);
  };
  const heatShown = shown && overlay !== undefined;
  return (
    <section className="viewer" aria-label={t('viewer.label')} data-testid="viewer">
      <div className="viewer-tools" role="toolbar" aria-label={t('viewer.label')}>
        <ToggleButton
          className="viewer-button"
          isSelected={heatShown}
          onChange={setShown}
          isDisabled={overlay === undefined}
          data-testid="heatmap-toggle"
        >
          <Flame size={16} aria-hidden />
          {t('viewer.heatMap')}
        </ToggleButton>
        <Slider
          className="opacity"
          value={opacity}
          onChange={setOpacity}
          isDisabled={!heatShown}
          minValue={0}
          maxValue={100}
          step={5}
        >
          <Label>{t('viewer.opacity')}</Label>
          <SliderTrack className="slider-track">
            <SliderThumb className="slider-thumb" aria-label={t('viewer.opacity')} />
          </SliderTrack>
          <SliderOutput className="slider-output">{() => `${opacity} %`}</SliderOutput>
        </Slider>
        <span className="viewer-space" />
        <ToggleButton
          className="viewer-button icon-only"
          isSelected={inverted}
          onChange={setInverted}
          aria-label={t('viewer.invert')}
        >
          <Contrast size={16} aria-hidden />
        </ToggleButton>
        <IconTool label={t('viewer.zoomOut')} onPress={() => setView(zoomBy(view, 0.8))}>
          <ZoomOut size={16} aria-hidden />
        </IconTool>
        <IconTool label={t('viewer.zoomIn')} onPress={() => setView(zoomBy(view, 1.25))}>
          <ZoomIn size={16} aria-hidden />
        </IconTool>
        <IconTool label={t('viewer.reset')} onPress={() => setView(FIT)}>
          <Maximize size={16} aria-hidden />
        </IconTool>
      </div>
      <div
        ref={box}
        className="viewport"
        role="application"
        aria-roledescription={t('viewer.label')}
        aria-label={t(heatShown ? 'viewer.labelWithHeat' : 'viewer.label')}
        tabIndex={0}
        onKeyDown={act}
        onPointerMove={(event) => {
          if (event.buttons === 1)
            setView((before) => panBy(before, event.movementX, event.movementY));
        }}
      >
        <canvas
          ref={canvas}
          className="picture"
          data-testid={heatShown ? 'heatmap' : 'radiograph'}
          data-overlay={heatShown ? 'shown' : 'none'}
        />
        {image === undefined ? (
          <p className="viewer-state" role="status">
            {t(error === undefined || error === null ? 'viewer.loading' : 'viewer.failed')}
          </p>
        ) : (
          <>
            <div className="corner corner-top" aria-hidden>
              {corner.map((line) => (
                <span key={line}>{line}</span>
              ))}
            </div>
            <div className="corner corner-bottom">
              <span>{t('result.notForDiagnosisShort')}</span>
              <span className="corner-right">{Math.round(view.zoom * 100)} %</span>
            </div>
            {heatShown ? <Legend /> : null}
          </>
        )}
      </div>
      <p className="viewer-keys">{t('viewer.keys')}</p>
    </section>
  );
}

function IconTool(props: { label: string; onPress: () => void; children: React.ReactNode }) {
  return (
    <Button className="viewer-button icon-only" aria-label={props.label} onPress={props.onPress}>
      {props.children}
    </Button>
  );
}

/** The heat map as a small picture that the canvas scales smoothly. */
function overlayOf(heat: HeatMap): OffscreenCanvas {
  const height = Math.max(1, Math.round((HEAT_SIZE * heat.height) / heat.width));
  const layer = new OffscreenCanvas(HEAT_SIZE, height);
  const pixels = heatPixels(heat, HEAT_SIZE, height);
  layer.getContext('2d')?.putImageData(new ImageData(pixels, HEAT_SIZE, height), 0, 0);
  return layer;
}

interface Drawing {
  readonly image: ImageBitmap | undefined;
  readonly overlay: OffscreenCanvas | undefined;
  readonly opacity: number;
  readonly inverted: boolean;
  readonly view: View;
}

function useDrawing({ image, overlay, opacity, inverted, view }: Drawing): {
  box: React.RefObject<HTMLDivElement | null>;
  canvas: React.RefObject<HTMLCanvasElement | null>;
} {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() =>
      setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const surface = canvas.current;
    const context = surface?.getContext('2d');
    if (surface === null || context === null || context === undefined || image === undefined)
      return;
    const density = window.devicePixelRatio;
    surface.width = Math.round(size.width * density);
    surface.height = Math.round(size.height * density);
    context.scale(density, density);
    const { x, y, width, height, scale } = placement(view, size, image);
    // Above 4x the pixels themselves are to be seen (spec/clinical.md 12).
    context.imageSmoothingEnabled = scale * density < 4;
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, x, y, width, height);
    if (inverted) {
      context.globalCompositeOperation = 'difference';
      context.fillStyle = '#fff';
      context.fillRect(x, y, width, height);
      context.globalCompositeOperation = 'source-over';
    }
    if (overlay === undefined) return;
    context.imageSmoothingEnabled = true;
    context.globalAlpha = opacity;
    context.drawImage(overlay, x, y, width, height);
    context.globalAlpha = 1;
  }, [image, overlay, opacity, inverted, view, size]);
  return { box, canvas };
}
