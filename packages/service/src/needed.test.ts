import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { needed } from './needed.ts';

describe('needed', () => {
  it('gives what is there, however little', () => {
    assert.equal(needed('x', 'data'), 'x');
    assert.equal(needed(0, 'port'), 0);
  });

  it('names the setting that is not', () => {
    assert.throws(() => needed(undefined, 'data'), { code: 'bad_config', where: 'data: needed' });
  });
});
