/** How an image lies in its viewport: 1 = it fits; then moved by so many CSS pixels. */
export interface View {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

/** The whole image, in the middle. */
export const FIT: View = { zoom: 1, x: 0, y: 0 };
const MIN_ZOOM = 1;
const MAX_ZOOM = 12;

/** Zooms by a factor around a place given relative to the viewport's middle. */
export function zoomBy(view: View, factor: number, around = { x: 0, y: 0 }): View {
  const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, view.zoom * factor));
  if (zoom === MIN_ZOOM) return FIT;
  const real = zoom / view.zoom;
  return {
    zoom,
    x: around.x - (around.x - view.x) * real,
    y: around.y - (around.y - view.y) * real,
  };
}

/** Moves the image. */
export function panBy(view: View, dx: number, dy: number): View {
  return view.zoom === MIN_ZOOM ? view : { ...view, x: view.x + dx, y: view.y + dy };
}

/** Where the image is drawn in a viewport. */
export function placement(
  view: View,
  viewport: { readonly width: number; readonly height: number },
  image: { readonly width: number; readonly height: number },
): { x: number; y: number; width: number; height: number; scale: number } {
  const fit = Math.min(viewport.width / image.width, viewport.height / image.height);
  const scale = fit * view.zoom;
  const [width, height] = [image.width * scale, image.height * scale];
  return {
    x: (viewport.width - width) / 2 + view.x,
    y: (viewport.height - height) / 2 + view.y,
    width,
    height,
    scale,
  };
}
