import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compilePolicy, type PolicyOutcome } from './compile-policy.ts';
import type { JmesPath } from './jmespath.ts';
import { serviceClaim, type PolicyClaim } from './policy-claim.ts';

/** JMESPath enough for these tests: a query names a member. */
const jmesPath: JmesPath = {
  check: () => undefined,
  search: (value, query) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value[query] ?? null)
      : null,
};

const CLAIMS: readonly PolicyClaim[] = [
  serviceClaim('debug', true),
  serviceClaim('svn', 3),
  serviceClaim('signer', 'abc'),
  serviceClaim('number', 1),
  serviceClaim('number', 2),
  serviceClaim('other', 2),
  serviceClaim('other', 3),
  serviceClaim('json', '{"a":"b","n":7,"list":[1,2],"half":1.5,"mixed":[1,"1"],"deep":[[1]]}'),
  serviceClaim('pcrs', '{"a":"b"}', true),
];

const evaluate = (text: string, claims = CLAIMS): PolicyOutcome =>
  compilePolicy(text, { jmesPath }).evaluate(claims);
const issue = (rules: string, version = '1.2') => {
  const outcome = evaluate(
    `version=${version};authorizationrules{=>permit();};issuancerules{${rules}};`,
  );
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.message);
  return outcome.issued;
};
const failure = (rules: string) => {
  const outcome = evaluate(`version=1.2;authorizationrules{=>permit();};issuancerules{${rules}};`);
  assert.ok(!outcome.ok);
  return outcome;
};
/** Whether a condition list holds. */
const holds = (conditions: string) =>
  evaluate(`version=1.2;authorizationrules{${conditions} => permit();};`).ok;

describe('authorizationrules', () => {
  it('deny unless a rule permits', () => {
    const none =
      'Policy Engine Exception: No Permit claim was issued in the authorizationrules section, authorization failed.';
    for (const text of [
      'version=1.0;',
      'version=1.0;authorizationrules{};',
      'version=1.0;authorizationrules{[type=="nothing"] => permit();};',
    ])
      assert.deepEqual(evaluate(text), { ok: false, code: 'policy_not_permitted', message: none });
  });

  it('let a denial win, before or after a permit', () => {
    const message = 'Policy Engine Exception: A Deny claim was issued, authorization failed.';
    for (const rules of ['=>deny();=>permit();', '=>permit();=>deny();', '=>deny();'])
      assert.deepEqual(evaluate(`version=1.0;authorizationrules{${rules}};`), {
        ok: false,
        code: 'policy_denied',
        message,
      });
  });

  it('see what earlier rules added, and put nothing into the token', () => {
    const outcome = evaluate(
      'version=1.0;authorizationrules{=>add(type="mine",value=1);[type=="mine",issuer=="AttestationPolicy"]=>permit();};',
    );
    assert.deepEqual(outcome, { ok: true, issued: {}, properties: {} });
  });
});

describe('conditions', () => {
  const table: readonly [string, boolean][] = [
    ['[type=="svn", value==3]', true],
    ['[type=="svn", value!=3]', false],
    ['[type=="svn", value>2]', true],
    ['[type=="svn", value>=3]', true],
    ['[type=="svn", value>3]', false],
    ['[type=="svn", value<4]', true],
    ['[type=="svn", value<=2]', false],
    ['[type=="signer", value=="abc"]', true],
    ['[type=="signer", value=="ABC"]', false],
    ['[type=="debug", value=true]', true],
    ['[type=="debug", value!=false]', true],
    // Values of different types are neither equal nor unequal.
    ['[type=="svn", value=="3"]', false],
    ['[type=="svn", value!="3"]', false],
    ['[type=="debug", value=="true"]', false],
    ['[type=="debug", value!=1]', false],
    // Only integers are ordered.
    ['[type=="signer", value>"abb"]', false],
    ['[type=="debug", value>=true]', false],
    ['[valueType=="Integer", type=="svn"]', true],
    ['[valueType=="String", type=="svn"]', false],
    ['[issuer=="AttestationService"]', true],
    ['[issuer=="CustomClaim"]', false],
    ['[]', true],
    ['[value==3]', true],
    ['[type=="number"] && [type=="other"]', true],
    ['[type=="number"] && [type=="nothing"]', false],
    ['![type=="nothing"]', true],
    ['![type=="number"]', false],
    ['![type=="number", value==9] && [type=="svn"]', true],
    ['a:[type=="number"] && [type=="other", value==a.value]', true],
    ['a:[type=="number", value==1] && [type=="other", value==a.value]', false],
    ['a:[type=="number"] && ![type=="other", value==a.value]', true],
    ['a:[type=="json"] && [type=="signer", value==AppendString("a", "bc")]', true],
    [
      'a:[type=="json"] && [type=="svn", value==JsonToClaimValue(JmesPath(a.value, "none"))]',
      false,
    ],
  ];
  for (const [conditions, expected] of table)
    it(`${conditions} ${expected ? 'holds' : 'does not hold'}`, () =>
      assert.equal(holds(conditions), expected));
});

describe('issuancerules', () => {
  it('issue literals with the type of the value', () => {
    assert.deepEqual(issue('=>issue(type="a",value=1);=>issue(type="b",value="1");', '1.0'), {
      a: 1,
      b: '1',
    });
  });

  it('run an action for each claim that an identifier binds', () => {
    assert.deepEqual(issue('c:[type=="number"]=>issue(type="n",value=c.value);'), { n: [1, 2] });
    assert.deepEqual(issue('c:[type=="number"]=>issue(claim=c);'), { number: [1, 2] });
    assert.deepEqual(issue('c:[type=="number"]=>issue(type=c.valueType,value=c.issuer);'), {
      Integer: 'AttestationService',
    });
  });

  it('run it for each pair that two identifiers bind, by the join that conditions make', () => {
    const pairs =
      'a:[type=="number"] && b:[type=="other", value!=a.value] => issue(type="p", value=AppendString(b.type, a.type));';
    assert.deepEqual(issue(pairs), { p: 'othernumber' });
    assert.deepEqual(
      issue(
        'a:[type=="number"] && b:[type=="other", value==a.value] => issue(type="p", value=b.value);',
      ),
      { p: 2 },
    );
    assert.deepEqual(
      issue(
        'a:[type=="number"] && b:[type=="other"] => issue(type=AppendString(a.type, b.type), value=b.value);',
      ),
      { numberother: [2, 3] },
    );
  });

  it('see what earlier rules added, and not what their own does', () => {
    assert.deepEqual(
      issue(
        'c:[type=="svn"]=>add(type="svn",value=4);c:[type=="svn"]=>issue(type="s",value=c.value);',
      ),
      { s: [3, 4] },
    );
    assert.deepEqual(
      issue('![type=="x"]=>issue(type="x",value=true);![type=="x"]=>issue(type="y",value=true);'),
      {
        x: true,
      },
    );
  });

  it('make a copy a claim of the policy', () => {
    const rules =
      'c:[type=="svn"]=>issue(claim=c);[type=="svn",issuer=="AttestationPolicy"]=>issue(type="own",value=true);';
    assert.deepEqual(issue(rules), { svn: 3, own: true });
  });

  it('set properties, which do not go into the token', () => {
    const outcome = evaluate(
      'version=1.1;configurationrules{=>issueproperty(type="x-ms-sgx-tcbidentifier",value="11");};authorizationrules{[type=="x-ms-sgx-tcbidentifier"]=>permit();};issuancerules{=>issueproperty(type="omit_x5c",value=true);};',
    );
    assert.deepEqual(outcome, {
      ok: true,
      issued: {},
      properties: { 'x-ms-sgx-tcbidentifier': '11', omit_x5c: true },
    });
  });

  it('say what configurationrules set without the rest', () => {
    const text =
      'version=1.1;configurationrules{=>issueproperty(type="required_pcr_mask",value=15);};authorizationrules{=>deny();};';
    assert.deepEqual(compilePolicy(text).configure([]), {
      ok: true,
      issued: {},
      properties: { required_pcr_mask: 15 },
    });
  });

  it('keep names of the prototype as ordinary names', () => {
    const issued = issue('=>issue(type="__proto__",value=1);=>issue(type="constructor",value=2);');
    assert.deepEqual(Object.entries(issued), [
      ['__proto__', 1],
      ['constructor', 2],
    ]);
  });
});

/** What a function yields. */
const call = (expression: string) =>
  issue(
    `c:[type=="json"] && p:[type=="pcrs"] && n:[type=="number"] && o:[type=="other"] => issue(type="r",value=${expression});`,
  )['r'];

describe('functions', () => {
  const table: readonly [string, unknown][] = [
    ['JmesPath(c.value, "a")', '"b"'],
    ['JmesPath(c.value, "none")', 'null'],
    ['JsonToClaimValue(JmesPath(c.value, "a"))', 'b'],
    ['JsonToClaimValue(JmesPath(c.value, "n"))', 7],
    ['JsonToClaimValue(JmesPath(c.value, "list"))', [1, 2]],
    ['JsonToClaimValue(JmesPath(c.value, "none"))', undefined],
    ['JsonToClaimValue("true")', true],
    ['JsonToClaimValue("[]")', undefined],
    ['IsSubsetOf(n.value, o.value)', false],
    ['IsSubsetOf(n.value, JsonToClaimValue("[1,2,3]"))', true],
    ['IsSubsetOf(JsonToClaimValue("[]"), o.value)', true],
    ['ContainsOnlyValue(n.value, 1)', false],
    ['ContainsOnlyValue(c.type, "json")', true],
    ['ContainsOnlyValue(JsonToClaimValue("[]"), 1)', false],
    ['AppendString("", "x")', 'x'],
    ['AppendString(AppendString("a", "b"), c.type)', 'abjson'],
    ['NegateBool(IsSubsetOf(n.value, o.value))', true],
    // Tests of sets may be issued whatever they looked at.
    ['ContainsOnlyValue(p.value, "x")', false],
  ];
  for (const [expression, expected] of table)
    it(`${expression} is ${JSON.stringify(expected) ?? 'nothing'}`, () =>
      assert.deepEqual(call(expression), expected));

  const refused: readonly [string, RegExp][] = [
    [
      'c:[type=="json"] => issue(type="r",value=JsonToClaimValue(JmesPath(c.value, "half")));',
      /no integer/,
    ],
    [
      'c:[type=="json"] => issue(type="r",value=JsonToClaimValue(JmesPath(c.value, "mixed")));',
      /different types/,
    ],
    [
      'c:[type=="json"] => issue(type="r",value=JsonToClaimValue(JmesPath(c.value, "deep")));',
      /object or array/,
    ],
    ['c:[type=="json"] => issue(type="r",value=JsonToClaimValue(c.value));', /object or array/],
    ['=> issue(type="r",value=JsonToClaimValue("{"));', /not JSON/],
    ['=> issue(type="r",value=JsonToClaimValue("9007199254740993"));', /no integer/],
    ['c:[type=="svn"] => issue(type="r",value=JmesPath(c.value, "a"));', /no string/],
    ['c:[type=="svn"] => issue(type="r",value=NegateBool(c.value));', /no boolean/],
    ['=> issue(type="r",value=AppendString("a", JsonToClaimValue("null")));', /not one value/],
    ['=> issue(type=JsonToClaimValue("null"),value=1);', /type of a claim is no text/],
    [
      'c:[type=="svn"] => issue(type="r",value="x",valueType=c.valueType);',
      /the value is no String/,
    ],
    ['c:[type=="svn"] => issue(type="r",value=1,issuer=c.issuer);', /issues as/],
    [
      '[type=="svn",value==JsonToClaimValue("[1,2]")] => issue(type="r",value=1);',
      /several values/,
    ],
  ];
  for (const [rules, pattern] of refused)
    it(`refuses ${rules}`, () => {
      const { code, message } = failure(rules);
      assert.equal(code, 'policy_failed');
      assert.match(message, pattern);
    });

  it('cannot search where there is no JMESPath', () => {
    const outcome = compilePolicy(
      'version=1.2;authorizationrules{c:[type=="json"] => add(type="r",value=JmesPath(c.value, "a"));};',
    ).evaluate(CLAIMS);
    assert.ok(!outcome.ok && outcome.code === 'policy_failed');
  });
});

describe('read-only claims', () => {
  it('are looked at, added and tested, and never issued', () => {
    assert.ok(holds('[type=="pcrs"]'));
    assert.deepEqual(issue('c:[type=="pcrs"] => add(type="copy",value=c.value);'), {});
    assert.deepEqual(issue('c:[type=="pcrs"] => issue(type="there",value=c.type);'), {
      there: 'pcrs',
    });
    for (const rules of [
      'c:[type=="pcrs"] => issue(claim=c);',
      'c:[type=="pcrs"] => issue(type="r",value=c.value);',
      'c:[type=="pcrs"] => issueproperty(type="r",value=c.value);',
      'c:[type=="pcrs"] => issue(type="r",value=JmesPath(c.value, "a"));',
      'c:[type=="pcrs"] => issue(type="r",value=AppendString("x", c.value));',
      'c:[type=="pcrs"] => add(type="copy",value=c.value);c:[type=="copy"] => issue(claim=c);',
    ])
      assert.match(failure(rules).message, /read-only/, rules);
  });
});

describe('a hostile policy', () => {
  const many = Array.from({ length: 200 }, (_, i) => serviceClaim('n', i));
  const costly = (text: string, claims: readonly PolicyClaim[] = many) => {
    const started = performance.now();
    const outcome = evaluate(text, claims);
    assert.ok(performance.now() - started < 2000);
    assert.ok(!outcome.ok, 'it passed');
    assert.equal(outcome.code, 'policy_too_costly');
  };

  it('does not get through the cross product of many claims', () => {
    const conditions = ['a', 'b', 'c', 'd'].map((id) => `${id}:[type=="n"]`).join('&&');
    costly(
      `version=1.2;authorizationrules{=>permit();${conditions}=>add(type=AppendString(a.type,AppendString(b.type,AppendString(c.type,d.type))),value=1);};`,
    );
  });

  it('does not double its claims or texts without end', () => {
    const doubling = 'c:[type=="t"] => add(type="t",value=AppendString(c.value,c.value));'.repeat(
      250,
    );
    costly(`version=1.2;authorizationrules{${doubling}};`, [serviceClaim('t', 'x'.repeat(64))]);
    const pairs =
      'a:[type=="t"] && b:[type=="t"] => add(type="t",value=AppendString(a.value,b.value));';
    costly(`version=1.2;authorizationrules{${pairs.repeat(250)}};`, [
      serviceClaim('t', 'a'),
      serviceClaim('t', 'b'),
    ]);
  });

  it('does not look at all claims for ever', () => {
    const join = Array.from({ length: 60 }, () => '[value>=0]').join('&&');
    const rule = `a:[type=="n"]&&${join}&&[value==a.value]=>permit();`;
    costly(`version=1.2;authorizationrules{${rule.repeat(80)}};`);
  });
});

describe('explaining', () => {
  it('tells which rule fired, what matched, what nearly did, and what was issued', () => {
    const policy = compilePolicy(
      'version=1.0;authorizationrules{\n[type=="debug", value==false] => deny();\n[type=="svn", value>=3] => permit();\n};issuancerules{c:[type=="signer"] => issue(type="s",value=c.value);};',
    );
    const { trace } = policy.evaluate(CLAIMS, { explain: true });
    assert.deepEqual(
      trace?.map(({ line, verb, fired }) => [line, verb, fired]),
      [
        [2, 'deny', false],
        [3, 'permit', true],
        [4, 'issue', true],
      ],
    );
    const [deny, permit, issued] = trace ?? [];
    assert.deepEqual(deny?.conditions, [
      {
        text: '[type=="debug", value==false]',
        held: false,
        matched: [],
        nearMisses: [{ claim: serviceClaim('debug', true), failed: 'value==false' }],
      },
    ]);
    assert.deepEqual(permit?.conditions[0]?.matched, [serviceClaim('svn', 3)]);
    assert.deepEqual(
      issued?.claims.map(({ type, value }) => [type, value]),
      [['s', 'abc']],
    );
    assert.equal(policy.evaluate(CLAIMS).trace, undefined);
  });

  it('tells it of a rule that failed, too', () => {
    const outcome = compilePolicy(
      'version=1.2;authorizationrules{=>permit();};issuancerules{c:[type=="pcrs"] => issue(claim=c);};',
    ).evaluate(CLAIMS, { explain: true });
    assert.ok(!outcome.ok);
    assert.equal(outcome.trace?.at(-1)?.fired, true);
  });
});
