import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { covers, isMatch, parsePattern } from './pattern.ts';

const matches = (glob: string, text: string): boolean => {
  const bytes = Buffer.from(`<${text}>`, 'latin1');
  return isMatch(parsePattern(glob), bytes, 1, bytes.length - 1);
};

describe('isMatch', () => {
  const cases: readonly (readonly [glob: string, yes: readonly string[], no: readonly string[]])[] =
    [
      [
        'records:*',
        ['records:', 'records:a', 'records:*'],
        ['record', 'Records:a', 'xrecords:a', ''],
      ],
      ['a', ['a'], ['', 'aa', 'A']],
      ['*', ['', 'anything'], []],
      ['a?c', ['abc', 'a?c'], ['ac', 'abbc']],
      ['a*b*c', ['abc', 'axxbyyc', 'abcbc'], ['ab', 'acb']],
      ['[a-c]x', ['ax', 'cx'], ['dx', 'x', '-x']],
      ['[c-a]x', ['bx'], ['dx']],
      ['[^a-c]x', ['dx'], ['ax', 'x']],
      ['[a\\]]x', [']x', 'ax'], ['\\x']],
      ['a\\*', ['a*'], ['ab', 'a', 'a\\*']],
      ['**', ['', 'a'], []],
      ['*a', ['a', 'aa', 'ba'], ['ab', '']],
      ['[abc', ['a', 'c'], ['[', '[abc']],
    ];
  for (const [glob, yes, no] of cases)
    it(glob, () => {
      for (const text of yes) assert.ok(matches(glob, text), `${glob} is to match ${text}`);
      for (const text of no) assert.ok(!matches(glob, text), `${glob} is not to match ${text}`);
    });

  it('takes little time for many stars', () => {
    const started = performance.now();
    assert.ok(!matches(`${'*a'.repeat(30)}b`, 'a'.repeat(5000)));
    assert.ok(performance.now() - started < 2000);
  });
});

describe('covers', () => {
  it('says yes only where all that can match has the prefix', () => {
    const own = parsePattern('records:*');
    for (const glob of ['records:*', 'records:a*', 'records:[ab]?', 'records:x'])
      assert.ok(covers(own, glob), glob);
    for (const glob of ['*', 'record*', 'records?*', '[r]ecords:*', 'r\\ecords:*', 'Records:*'])
      assert.ok(!covers(own, glob), glob);
    assert.ok(!covers(parsePattern('a?*'), 'ab*'));
    assert.ok(covers(parsePattern('a?*'), 'a?*'));
  });
});
