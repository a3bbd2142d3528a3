import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { en } from './en.ts';
import { createI18n, firstLanguage } from './i18n.ts';
import { zhCN } from './zh-cn.ts';

/** All texts by their path. */
function flatten(texts: object, path = ''): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(texts)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (typeof value === 'string') all.set(at, value);
    else for (const [inner, text] of flatten(value as object, at)) all.set(inner, text);
  }
  return all;
}
const placeholders = (text: string): string[] => (text.match(/\{\{\w+\}\}/g) ?? []).toSorted();

describe('the texts', () => {
  const english = flatten(en);
  const chinese = flatten(zhCN);

  it('are the same in both languages, with the same placeholders', () => {
    assert.deepEqual([...chinese.keys()].toSorted(), [...english.keys()].toSorted());
    for (const [key, text] of english)
      assert.deepEqual(placeholders(chinese.get(key) ?? ''), placeholders(text), key);
  });

  it('use the terms that were agreed on', () => {
    const all = [...chinese.values()].join('\n');
    for (const term of [
      '可信执行环境',
      '度量值',
      '远程证明',
      '已验证',
      '未通过验证',
      '所见',
      '签发',
      '初步',
    ])
      assert.ok(all.includes(term), term);
  });

  it('never name a class that the model may not report', () => {
    for (const text of [...english.values(), ...chinese.values()])
      assert.doesNotMatch(text, /bacteri|viral|virus|细菌|病毒/i);
  });

  it('are there in both languages at once', () => {
    assert.equal(createI18n('en').t('gate.title'), 'May you type here?');
    const i18n = createI18n('zh-CN');
    assert.equal(i18n.t('gate.title'), '可以在这里输入吗？');
    assert.equal(i18n.t('patients.count', { count: 2 }), '2 位患者');
    assert.equal(createI18n('en').t('patients.count', { count: 1 }), '1 patient');
  });
});

describe('firstLanguage', () => {
  it('takes the stored one, else the first that the browser and we both know', () => {
    assert.equal(firstLanguage('zh-CN', ['en']), 'zh-CN');
    assert.equal(firstLanguage('fr', ['fr', 'zh-TW']), 'zh-CN');
    assert.equal(firstLanguage(null, ['en-GB', 'zh']), 'en');
    assert.equal(firstLanguage(null, []), 'en');
  });
});
