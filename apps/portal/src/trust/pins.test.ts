import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePins } from './pins.ts';

const KEY = { kty: 'EC', crv: 'P-256', x: 'a', y: 'b' };

describe('parsePins', () => {
  it('reads the keys of the parties and the lowest serial', () => {
    const pins = parsePins(JSON.stringify({ parties: { hospital: [KEY] }, lowestSerial: 3 }));
    assert.deepEqual(pins, { parties: { hospital: [KEY] }, lowestSerial: 3 });
  });

  it('has none in a build without them', () => assert.equal(parsePins('null'), undefined));

  it('refuses pins that would pin nothing', () => {
    const bad = [
      {},
      [],
      { parties: {}, lowestSerial: 1 },
      { parties: { hospital: [] }, lowestSerial: 1 },
      { parties: { platform: [KEY] }, lowestSerial: 1 },
      { parties: { hospital: [{}] }, lowestSerial: 1 },
      { parties: { hospital: [KEY] } },
      { parties: { hospital: [KEY] }, lowestSerial: 0 },
      { parties: { hospital: [KEY] }, lowestSerial: 1.5 },
      { parties: [], lowestSerial: 1 },
    ];
    for (const value of bad)
      assert.throws(() => parsePins(JSON.stringify(value)), { code: 'bad_value' });
  });
});
