import assert from 'node:assert/strict';
import { it } from 'node:test';
import { accessTokenFile } from './access-token-file.ts';

it('an access token is read anew for each call, and missed only then', async () => {
  let text: string | undefined = 'one\n';
  const token = accessTokenFile('/var/run/token', async (path) => {
    assert.equal(path, '/var/run/token');
    if (text === undefined) throw new TypeError('no such file');
    return text;
  });
  assert.equal(await token(), 'one');
  text = 'two';
  assert.equal(await token(), 'two');
  text = undefined;
  await assert.rejects(token(), { name: 'UnavailableError', code: 'unreachable' });
});
