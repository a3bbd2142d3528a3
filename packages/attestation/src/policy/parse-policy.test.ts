import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { array, assert as check, constantFrom, oneof, property as over, string } from 'fast-check';
import { parsePolicy } from './parse-policy.ts';
import { PolicyParsingError } from './parsing-error.ts';
import { MAX_POLICY_BYTES } from './scan-policy.ts';

const PERMIT = 'version=1.0;authorizationrules{=>permit();};issuancerules{};';
/** A policy of the given version whose issuancerules are these. */
const issuing = (rules: string, version = '1.2') =>
  `version=${version};authorizationrules{=>permit();};issuancerules{${rules}};`;

const errorOf = (text: string): PolicyParsingError => {
  try {
    parsePolicy(text, (query) => (query === 'bad' ? 'no query' : undefined));
  } catch (error) {
    assert.ok(error instanceof PolicyParsingError, String(error));
    return error;
  }
  return assert.fail('it was read');
};

describe('parsePolicy', () => {
  it('reads the forms that the documentation has', () => {
    for (const text of [
      PERMIT,
      'version= 1.0;authorizationrules{};',
      'Version = 1.1 ; ConfigurationRules { } ; AuthorizationRules { => permit ( ) ; } ; IssuanceRules { } ;',
      'version=1.1;\r\n// nothing\r\nauthorizationrules{=>permit();};// end',
      'version=1.0;',
      issuing('=> issueproperty (type="report_validity_in_minutes", value=10);', '1.0'),
      issuing('c:[type="x"] => issue(claim=c);'),
      issuing('[] => issue(type="a", value=-5, valueType="Integer", issuer="CustomClaim");'),
      issuing('c1:[type=="a"] && c2:[value==c1.value] => issue(type=c1.value, value=c2.type);'),
      issuing('![type=="a"] => add(type="b", value=NegateBool(true));'),
    ])
      assert.doesNotThrow(() => parsePolicy(text), text);
  });

  it('keeps what it read: escapes, negative integers, the text of each rule', () => {
    const rule = 'c:[type=="a\\"\\\\", value != -7, issuer = "CustomClaim"] => issue(claim=c);';
    const { version, rules } = parsePolicy(issuing(`\n  ${rule}\n`));
    const [read] = rules.issuancerules;
    assert.equal(version, '1.2');
    assert.ok(read);
    assert.deepEqual([read.line, read.column, read.text], [2, 3, rule]);
    assert.deepEqual(read.action, { verb: 'issue', claim: 0 });
    const [condition] = read.conditions;
    assert.deepEqual(
      condition?.tests.map(({ property, operator, operand }) => [property, operator, operand]),
      [
        ['type', '==', { kind: 'literal', value: 'a"\\' }],
        ['value', '!=', { kind: 'literal', value: -7 }],
        ['issuer', '==', { kind: 'literal', value: 'CustomClaim' }],
      ],
    );
  });

  it("says where, what and what else, in Azure Attestation's words", () => {
    const error = errorOf('version=1.0\n[type=="x"] => permit();\n');
    assert.equal(
      error.message,
      "Policy Parser Exception Thrown: Offending symbol: '['  Line: '2', Column: '1'  Failure message: 'mismatched input '[' expecting ';''  Failing rule: 'policy > versionInfo'",
    );
    assert.deepEqual([error.line, error.column, error.symbol], [2, 1, '[']);
  });

  const refused: Readonly<Record<string, [string, RegExp]>> = {
    'no text': ['', /'<EOF>' expecting 'version'/],
    'another version': ['version=1.3;', /the version is 1\.0, 1\.1 or 1\.2/],
    'a version spelt otherwise': ['version=1.00;', /the version is/],
    'a section twice': [`${PERMIT}issuancerules{};`, /the section issuancerules is there twice/],
    'sections in the wrong order': [
      'version=1.0;issuancerules{};authorizationrules{};',
      /authorizationrules stands after issuancerules/,
    ],
    'an unknown section': ['version=1.0;otherrules{};', /expecting 'authorizationrules'/],
    'configurationrules in 1.0': ['version=1.0;configurationrules{};', /has no configurationrules/],
    'no semicolon after a section': ['version=1.0;authorizationrules{}', /'<EOF>' expecting ';'/],
    'no semicolon after a rule': [
      'version=1.0;authorizationrules{=>permit()};',
      /'}' expecting ';'/,
    ],
    'permit outside of authorizationrules': [issuing('=> permit();'), /expecting 'add', 'issue'/],
    'issue in authorizationrules': [
      'version=1.0;authorizationrules{=>issue(type="a",value=1);};',
      /'issue' expecting 'permit', 'deny', 'add'/,
    ],
    'add in configurationrules': [
      'version=1.1;configurationrules{=>add(type="a",value=1);};',
      /'add' expecting 'issueproperty'/,
    ],
    'an unknown action': [issuing('=> grant();'), /'grant' expecting/],
    'an action in another case': [issuing('=> Issue(type="a", value=1);'), /'Issue' expecting/],
    'a claim without type=': [issuing('=> issue("a", value=true);'), /'"a"' expecting 'type'/],
    'a claim without a type': [issuing('=> issue(value=true);'), /expecting ',', 'type'/],
    'a claim without a value': [issuing('=> issue(type="a");'), /expecting ',', 'value'/],
    'a property given twice': [issuing('=> issue(type="a", type="b", value=1);'), /given twice/],
    'an unknown property': [
      issuing('[name=="a"] => issue(type="a", value=1);'),
      /'name' expecting/,
    ],
    'a type that is no string': [issuing('=> issue(type=1, value=1);'), /type of a claim/],
    'a value of another valueType': [
      issuing('=> issue(type="a", value=1, valueType="String");'),
      /not of this valueType/,
    ],
    'an unknown valueType': [
      issuing('=> issue(type="a", value=1, valueType="Number");'),
      /valueType is String/,
    ],
    'a claim in the name of the service': [
      issuing('=> issue(type="a", value=1, issuer="AttestationService");'),
      /issues as AttestationPolicy/,
    ],
    'typographic quotes': ['version=1.0;authorizationrules{[type==“a”]=>permit();};', /'“'/],
    'a string without an end': [issuing('=> issue(type="a);'), /the string has no end/],
    'another escape': [issuing('=> issue(type="a\\n", value=1);'), /a backslash in a string/],
    'an identifier that nothing binds': [issuing('=> issue(type="a", value=c.value);'), /c is not/],
    'a copy of what nothing binds': [issuing('=> issue(claim=c);'), /c is not bound/],
    'an identifier before it is bound': [
      issuing('[value==c.value] && c:[type=="a"] => issue(claim=c);'),
      /not bound by a condition before/,
    ],
    'a condition that speaks of itself': [
      issuing('c:[value==c.type] => issue(claim=c);'),
      /not bound by a condition before/,
    ],
    'an identifier bound twice': [issuing('c:[] && c:[] => issue(claim=c);'), /c is bound twice/],
    'a negation in 1.1': [issuing('![] => issue(type="a", value=1);', '1.1'), /from version 1\.2/],
    'a negation that binds': [issuing('!c:[] => issue(claim=c);'), /binds no identifier/],
    'a function in 1.1': [
      issuing('=> issue(type="a", value=NegateBool(true));', '1.1'),
      /functions are there from version 1\.2/,
    ],
    'an unknown function': [issuing('=> issue(type="a", value=Exists());'), /no function Exists/],
    'a function of the prototype': [
      issuing('=> issue(type="a", value=toString());'),
      /no function/,
    ],
    'too few arguments': [issuing('=> issue(type="a", value=AppendString("b"));'), /expecting ','/],
    'an argument of another type': [
      issuing('=> issue(type="a", value=AppendString("b", 1));'),
      /a string is expected/,
    ],
    'a query that JMESPath refuses': [
      issuing('c:[] => issue(type="a", value=JmesPath(c.value, "bad"));'),
      /query is invalid: no query/,
    ],
    'an empty query': [
      issuing('c:[] => issue(type="a", value=JmesPath(c.value, ""));'),
      /query is invalid/,
    ],
    'an integer beyond the safe ones': [
      issuing('=> issue(type="a", value=9007199254740992);'),
      /too large/,
    ],
    'functions nested without end': [
      issuing(`=> issue(type="a", value=${'NegateBool('.repeat(50)}true${')'.repeat(50)});`),
      /too deeply nested/,
    ],
    'too many rules': [issuing('=> issue(type="a", value=1);'.repeat(256)), /more than 256 rules/],
    'too long a text': [`${PERMIT}${' '.repeat(MAX_POLICY_BYTES)}`, /larger than 65536 bytes/],
    'text after the last section': [`${PERMIT}x`, /'x' expecting <EOF>/],
    'half a surrogate pair': [issuing('=> issue(type="\ud800", value=1);'), /no well-formed text/],
  };
  for (const [what, [text, pattern]] of Object.entries(refused))
    it(`refuses ${what}`, () => {
      const { message } = errorOf(text);
      assert.match(message, pattern);
    });

  it('refuses every shorter text of a policy, at a place in it', () => {
    const text = issuing('c:[type=="a", value>=1] && ![] => issue(type="b", value=c.value);');
    for (let length = 0; length < text.length; length++) {
      const prefix = text.slice(0, length);
      // What ends with a section is a policy already.
      if (/^version=1\.2;(authorizationrules\{=>permit\(\);\};)?$/.test(prefix)) continue;
      const { line, column } = errorOf(prefix);
      assert.equal(line, 1);
      assert.ok(column >= 1 && column <= length + 1);
    }
  });

  it('reads or refuses any text, and never fails otherwise', () => {
    const symbols =
      'version = 1 . 0 ; authorizationrules { } => permit ( ) [ ] c : type == "a" && ! issue value , // -';
    const parts = constantFrom('\n', ...symbols.split(' '));
    const texts = oneof(
      string(),
      array(parts).map((all) => all.join(' ')),
    );
    check(
      over(texts, (text) => {
        try {
          parsePolicy(text);
        } catch (error) {
          assert.ok(error instanceof PolicyParsingError);
        }
      }),
    );
  });
});
