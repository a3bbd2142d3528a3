import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { heatAlpha, heatColour, heatPixels, sampleHeat } from './heat-map.ts';
import { scoreBand } from './score-band.ts';
import { viewerAction } from './viewer-keys.ts';
import { FIT, panBy, placement, zoomBy } from './view.ts';

const light = (v: number): number => heatColour(v).reduce((sum, part) => sum + part, 0);
const key = (name: string, ctrlKey = false) =>
  viewerAction({ key: name, ctrlKey, metaKey: false, altKey: false });

describe('the heat map', () => {
  const map = { width: 2, height: 2, values: [0, 1, 0, 1] };

  it('leaves zero transparent, and covers more where the value is greater', () => {
    assert.equal(heatAlpha(0), 0);
    assert.equal(heatAlpha(1), 1);
    for (let v = 0; v < 1; v += 0.05) assert.ok(heatAlpha(v) <= heatAlpha(v + 0.05));
    const pixels = heatPixels({ width: 1, height: 1, values: [0] }, 2, 2);
    for (let i = 3; i < pixels.length; i += 4) assert.equal(pixels[i], 0);
  });

  it('goes from dark to light, so that it reads without colours', () => {
    for (let v = 0; v < 1; v += 0.125) assert.ok(light(v) < light(v + 0.125));
    assert.deepEqual(heatColour(-1), heatColour(0));
    assert.deepEqual(heatColour(2), heatColour(1));
  });

  it('puts the cells where they lie, and mixes between their middles', () => {
    assert.equal(sampleHeat(map, 0.25, 0.25), 0);
    assert.equal(sampleHeat(map, 0.75, 0.75), 1);
    assert.equal(sampleHeat(map, 0.5, 0.5), 0.5);
    assert.equal(sampleHeat(map, 0, 0), 0);
    assert.equal(sampleHeat(map, 1, 1), 1);
  });
});

describe('the view', () => {
  const viewport = { width: 400, height: 200 };
  const image = { width: 100, height: 100 };

  it('fits the image into the middle without changing its shape', () => {
    assert.deepEqual(placement(FIT, viewport, image), {
      x: 100,
      y: 0,
      width: 200,
      height: 200,
      scale: 2,
    });
  });

  it('zooms around a place that stays where it is', () => {
    const around = { x: 40, y: -10 };
    const view = zoomBy(zoomBy(FIT, 2, around), 1.5, around);
    assert.ok(Math.abs(around.x - view.x - around.x * view.zoom) < 1e-9);
    assert.equal(view.zoom, 3);
    assert.deepEqual(zoomBy(view, 0.01), FIT);
    assert.equal(zoomBy(view, 1000).zoom, 12);
  });

  it('moves only what is larger than its place', () => {
    assert.deepEqual(panBy(FIT, 5, 5), FIT);
    assert.deepEqual(panBy({ zoom: 2, x: 0, y: 0 }, 5, -5), { zoom: 2, x: 5, y: -5 });
  });

  it('knows its keys, and leaves those with modifiers to the browser', () => {
    assert.equal(key('H'), 'heat');
    assert.equal(key('0'), 'reset');
    assert.equal(key('0', true), undefined);
    assert.equal(key('x'), undefined);
  });
});

describe('scoreBand', () => {
  it('goes by the operating point', () => {
    assert.deepEqual(
      [0, 0.49, 0.5, 0.74, 0.75, 1].map((score) => scoreBand(score, 0.5)),
      ['low', 'low', 'medium', 'medium', 'high', 'high'],
    );
  });
});
