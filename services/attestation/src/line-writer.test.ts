import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createLineWriter } from './line-writer.ts';

it('lines of one turn are written together, in their order', async () => {
  const written: string[] = [];
  const write = createLineWriter((text) => void written.push(text));
  write('a\n');
  write('b\n');
  assert.deepEqual(written, []);
  await setImmediate();
  write('c\n');
  await setImmediate();
  assert.deepEqual(written, ['a\nb\n', 'c\n']);
});
