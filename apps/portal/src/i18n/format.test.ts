import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ageOn, formatAgo, formatBytes, formatDate, formatScore, groupHex } from './format.ts';

describe('formatBytes', () => {
  it('says kB and MB, so that a number does not jump about while it grows', () => {
    assert.equal(formatBytes(0, 'en'), '0 kB');
    assert.equal(formatBytes(49_700, 'en'), '50 kB');
    assert.equal(formatBytes(4_000_000, 'en'), '4.0 MB');
    assert.equal(formatBytes(33_554_432, 'zh-CN'), '33.6 MB');
  });
});

describe('formatDate', () => {
  it('writes dates as each language does, also partial ones', () => {
    assert.equal(formatDate('2022-03-14', 'zh-CN'), '2022年3月14日');
    assert.equal(formatDate('2022-03-14', 'en'), '14 Mar 2022');
    assert.equal(formatDate('2022-03', 'en'), 'Mar 2022');
    assert.equal(formatDate('2022', 'en'), '2022');
  });

  it('shows what is no date as it is', () => assert.equal(formatDate('soon', 'en'), 'soon'));
});

describe('ageOn', () => {
  const today = new Date(2026, 10, 24);
  it('counts months below two years, then years', () => {
    assert.deepEqual(ageOn('2024-12-30', today), { unit: 'months', count: 22 });
    assert.deepEqual(ageOn('2022-11-25', today), { unit: 'years', count: 3 });
    assert.deepEqual(ageOn('2022-11-24', today), { unit: 'years', count: 4 });
    assert.deepEqual(ageOn('2026-11-24', today), { unit: 'months', count: 0 });
  });

  it('knows no age of a partial, a missing or a future date', () => {
    assert.equal(ageOn('2022', today), undefined);
    assert.equal(ageOn(undefined, today), undefined);
    assert.equal(ageOn('2027-01-01', today), undefined);
  });
});

describe('the other formats', () => {
  it('say how long ago', () => {
    const now = new Date('2026-11-24T12:10:00Z');
    assert.equal(formatAgo(new Date('2026-11-24T12:08:00Z'), now, 'en'), '2 minutes ago');
    assert.equal(formatAgo(now, now, 'en'), 'now');
    assert.equal(formatAgo(new Date('2026-11-24T10:00:00Z'), now, 'en'), '2 hours ago');
    assert.equal(formatAgo(new Date('2026-11-24T13:00:00Z'), now, 'en'), 'now');
  });

  it('show scores with three digits, and hashes in groups', () => {
    assert.equal(formatScore(0.9833, 'en'), '0.983');
    assert.deepEqual(groupHex('0123456789abcdef'), ['01234567', '89abcdef']);
  });
});
