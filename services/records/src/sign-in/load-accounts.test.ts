import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACCOUNTS } from '../../tools/test-records.ts';
import { loadAccounts } from './load-accounts.ts';

const reading = (text: string) => () => Promise.resolve(text);

describe('loadAccounts', () => {
  it('reads the accounts of a development manifest', async () => {
    assert.deepEqual(await loadAccounts('f', 'dev', reading(JSON.stringify(ACCOUNTS))), ACCOUNTS);
    assert.deepEqual(await loadAccounts(undefined, 'production', reading('')), []);
  });

  it('refuses the file where the parties agreed on production', async () => {
    const text = JSON.stringify(ACCOUNTS);
    await assert.rejects(loadAccounts('f', 'production', reading(text)), { code: 'bad_config' });
  });

  it('refuses what is no list of accounts', async () => {
    const [account] = ACCOUNTS;
    const bad = [
      '{',
      '{}',
      '[1]',
      JSON.stringify([{ ...account, role: 'admin' }]),
      JSON.stringify([{ ...account, password: 'x' }]),
      JSON.stringify([{ ...account, scrypt: { ...account?.scrypt, N: 2 } }]),
      JSON.stringify([{ ...account, scrypt: { ...account?.scrypt, hash: 'short' } }]),
    ];
    for (const text of bad)
      await assert.rejects(loadAccounts('f', 'dev', reading(text)), { code: 'bad_config' }, text);
  });
});
