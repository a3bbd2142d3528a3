import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createScene, NAME, type Scene } from './scene.test.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});
after(() => scene.close());

/** What somebody is told who signs with this key and shows this in the place of a token. */
async function ask(key: CryptoKey, shown: string): Promise<string> {
  const call = await scene.connect({ signCall: { key, token: () => Promise.resolve(shown) } });
  const answer = await call(new Request(`https://inference/v2/models/${NAME}`));
  if (answer.status === 200) return 'served';
  const { code } = (await answer.json()) as { code: string };
  return `${answer.status} ${code}`;
}

describe('two tokens that only together would do, shown to inference', () => {
  it('are refused, however they are joined: one token satisfies every condition', async () => {
    // The thief is an admitted service with a token and a key of its own; that of records is stolen.
    const [own, stolen] = await Promise.all([scene.stranger.token(), scene.records.token()]);
    const { privateKey } = scene.stranger.sigKey;
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    for (const [first, second] of [
      [own, stolen],
      [stolen, own],
    ])
      for (const joint of [', ', ',', ' ', ';', '.'])
        assert.equal(
          await ask(privateKey, `${first}${joint}${second}`),
          '401 call_token_not_single',
        );
    assert.equal(await ask(privateKey, stolen), '401 call_signature');
    assert.match(await ask(privateKey, own), /^401 /);
    const { sigKey } = scene.records;
    assert.equal(await ask(sigKey.privateKey, stolen), 'served');
  });
});
