import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compilePolicy, serviceClaim } from '@cloister/attestation';
import { JMES_PATH } from './jmespath.ts';

const DATA = {
  a: { b: [1, 2, { c: 'x' }], 'q-r': 'ä' },
  list: [
    { n: 'one', v: 1, tags: ['A', 'B'] },
    { n: 'two', v: 2, tags: [] },
    { n: 'three', v: 3, tags: ['b'] },
  ],
  none: null,
  text: 'Hello',
};

/** What a query finds, as JSON text, through a policy as it would be used. */
function search(query: string, data: unknown = DATA) {
  const quoted = query.replaceAll(/["\\]/g, '\\$&');
  const policy = compilePolicy(
    `version=1.2;authorizationrules{=>permit();};issuancerules{c:[type=="data"] => issue(type="r",value=JmesPath(c.value,"${quoted}"));};`,
    { jmesPath: JMES_PATH },
  );
  return policy.evaluate([serviceClaim('data', JSON.stringify(data))]);
}

const found = (query: string, data?: unknown): unknown => {
  const outcome = search(query, data);
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.message);
  return outcome.issued['r'];
};

describe('JMESPath in policies', () => {
  const table: readonly [string, string][] = [
    ['a.b[2].c', '"x"'],
    ['a."q-r"', '"ä"'],
    ['a.b[-1].c', '"x"'],
    ['a.b[0:2]', '[1,2]'],
    ['missing', 'null'],
    ['none', 'null'],
    ['list[*].n', '["one","two","three"]'],
    ['list[?v > `1`].n', '["two","three"]'],
    ["list[?n == 'two'] | [0].v", '2'],
    ["list[?contains(tags, 'A')].n", '["one"]'],
    ["list[?tags[?equals_ignore_case(@, 'a')]].n", '["one"]'],
    ['list[].tags[]', '["A","B","b"]'],
    ['list[0].{name: n, both: [v, n]}', '{"name":"one","both":[1,"one"]}'],
    ['length(list)', '3'],
    ['length(list) == `3` && list[0].v == `1`', 'true'],
    ['a.b == `[1,2,{"c":"x"}]`', 'true'],
    ['a != `{}`', 'true'],
    ['!none', 'true'],
    ['max_by(list, &v).n', '"three"'],
    ['sort_by(list, &n)[0].n', '"one"'],
    ['map(&v, list)', '[1,2,3]'],
    ['to_string(a.b)', '"[1,2,{\\"c\\":\\"x\\"}]"'],
    ['join(`","`, list[*].n)', '"one,two,three"'],
    ['keys(a)', '["b","q-r"]'],
    ['sum(list[*].v)', '6'],
    ['not_null(none, text)', '"Hello"'],
    ['*.b', '[[1,2,{"c":"x"}]]'],
    // Only what the JSON itself has: nothing of JavaScript.
    ['constructor', 'null'],
    ['a.b.length', 'null'],
    ['"__proto__"', 'null'],
    ['toString', 'null'],
  ];
  for (const [query, expected] of table)
    it(`${query} gives ${expected}`, () => assert.equal(found(query), expected));

  it('compares a member that is called like the prototype', () => {
    assert.equal(found('"__proto__"', JSON.parse('{"__proto__":{"x":1}}')), '{"x":1}');
  });

  const refused = [
    'a[',
    'nothing(a)',
    'length()x',
    'let $x = a in $x',
    'a + b',
    '$.a',
    'pad_left(text, `1000000000`)',
    "replace(text, 'l', 'll', `1000000000`)",
    "trim(text, 'x')",
    'a ? b : c',
    '('.repeat(2000),
    '!'.repeat(70) + 'a',
    'a'.repeat(5000),
  ];
  for (const query of refused)
    it(`refuses a policy with the query ${query.slice(0, 40)}`, () => {
      assert.throws(() => search(query), { name: 'PolicyParsingError' });
    });

  const failing = [
    'length(none)',
    'sum(list)',
    'abs(text)',
    'a.b[::0]',
    '&a',
    'max_by(list, &tags)',
  ];
  for (const query of failing)
    it(`fails on ${query}`, () => {
      const outcome = search(query);
      assert.ok(!outcome.ok);
      assert.equal(outcome.code, 'policy_failed');
    });

  const big = { list: Array.from({ length: 2000 }, (_, i) => ({ i, s: 'x'.repeat(20) })) };
  const hostile: Readonly<Record<string, [string, unknown]>> = {
    'all pairs of a long list': ['list[*].[@.i, `0`] | map(&[@, @, @] , @) | [*][*][*][*]', big],
    'a structure that doubles at every step': [
      `${'[@,@] | '.repeat(50)}length(to_string(@))`,
      DATA,
    ],
    'the result of doubling': [`[@,@]${' | [@,@]'.repeat(50)}`, DATA],
    'the comparison of doubled structures': [`${'[@,@] | '.repeat(50)}@ == @`, DATA],
    'a text that doubles at every step': [
      `text${" | join('', [@, @])".repeat(40)}`,
      { text: 'x'.repeat(50) },
    ],
    'projections in projections': [
      `list[*].[${Array.from({ length: 40 }, () => 'i').join(',')}] | [*][*] | [[],[]][].length(@)[?@ > \`0\`] || map(&map(&map(&@, \`${JSON.stringify(Array.from({ length: 400 }, (_, i) => i))}\`), \`${JSON.stringify(Array.from({ length: 400 }, (_, i) => i))}\`), \`[1,2,3,4,5,6,7,8,9,10]\`)`,
      big,
    ],
  };
  for (const [what, [query, data]] of Object.entries(hostile))
    it(`does bounded work for ${what}`, () => {
      const started = performance.now();
      const outcome = search(query, data);
      assert.ok(performance.now() - started < 3000);
      assert.ok(!outcome.ok || what === 'all pairs of a long list');
    });

  it('is the same for every evaluation, also after one that failed', () => {
    assert.ok(!search('length(none)').ok);
    assert.equal(found('list[0].n'), '"one"');
    assert.equal(found('list[0].n'), '"one"');
  });
});
