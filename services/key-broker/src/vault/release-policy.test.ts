import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { parseReleasePolicy, satisfies } from './release-policy.ts';

const AUTHORITY = 'https://attest.example';
const CLAIMS: JsonObject = {
  'x-ms-sgx-mrenclave': 'ab',
  'x-ms-sgx-svn': 3,
  'x-ms-sgx-is-debuggable': false,
  'x-ms-runtime': { 'vm-configuration': { 'secure-boot': true } },
  'dotted.name': 'x',
  list: ['a'],
};
const policyOf = (rule: object, authority: string = AUTHORITY) =>
  JSON.stringify({ version: '1.0.0', anyOf: [{ authority, ...rule }] });
const holds = (rule: object, issuer: string = AUTHORITY) =>
  satisfies(parseReleasePolicy(policyOf(rule)), issuer, CLAIMS);
const one = (condition: object) => holds({ allOf: [condition] });
const SVN = 'x-ms-sgx-svn';

describe('satisfies', () => {
  for (const [why, condition, expected] of [
    ['equal text', { claim: 'x-ms-sgx-mrenclave', equals: 'ab' }, true],
    ['other text', { claim: 'x-ms-sgx-mrenclave', equals: 'AB' }, false],
    ['equal number', { claim: SVN, equals: 3 }, true],
    ['a number as text', { claim: SVN, equals: '3' }, false],
    ['a boolean', { claim: 'x-ms-sgx-is-debuggable', equals: false }, true],
    ['a boolean as text', { claim: 'x-ms-sgx-is-debuggable', equals: 'false' }, true],
    ['another boolean', { claim: 'x-ms-sgx-is-debuggable', equals: 'true' }, false],
    ['not equal', { claim: SVN, notEquals: 4 }, true],
    ['not unequal', { claim: SVN, notEquals: 3 }, false],
    ['absent, not equal', { claim: 'none', notEquals: 3 }, false],
    ['less', { claim: SVN, less: 4 }, true],
    ['not less', { claim: SVN, less: 3 }, false],
    ['less or equal', { claim: SVN, lessOrEquals: 3 }, true],
    ['not less or equal', { claim: SVN, lessOrEquals: 2 }, false],
    ['greater', { claim: SVN, greater: 2 }, true],
    ['not greater', { claim: SVN, greater: 3 }, false],
    ['greater or equal', { claim: SVN, greaterOrEquals: 3 }, true],
    ['not greater or equal', { claim: SVN, greaterOrEquals: 4 }, false],
    ['text is no number', { claim: 'x-ms-sgx-mrenclave', greater: 0 }, false],
    ['exists', { claim: SVN, exists: true }, true],
    ['exists, as text', { claim: SVN, exists: 'true' }, true],
    ['does not exist', { claim: 'none', exists: false }, true],
    ['exists after all', { claim: SVN, exists: false }, false],
    ['a path', { claim: 'x-ms-runtime.vm-configuration.secure-boot', equals: true }, true],
    ['a name with a dot', { claim: 'dotted.name', equals: 'x' }, true],
    ['a path to nowhere', { claim: 'x-ms-runtime.none.secure-boot', equals: true }, false],
    ['a list', { claim: 'list', equals: 'a' }, false],
    ['an object', { claim: 'x-ms-runtime', exists: true }, true],
    ['what objects inherit', { claim: 'constructor', exists: true }, false],
    ['what objects inherit, in a path', { claim: 'x-ms-runtime.constructor', exists: true }, false],
  ] as const)
    it(`${why}: ${expected}`, () => assert.equal(one(condition), expected));

  const good = { claim: SVN, equals: 3 };
  const bad = { claim: SVN, equals: 4 };

  it('asks for all of allOf, one of anyOf, and nests', () => {
    assert.equal(holds({ allOf: [good, good] }), true);
    assert.equal(holds({ allOf: [good, bad] }), false);
    assert.equal(holds({ anyOf: [bad, good] }), true);
    assert.equal(holds({ anyOf: [bad, bad] }), false);
    assert.equal(holds({ allOf: [good, { anyOf: [bad, { allOf: [good] }] }] }), true);
    assert.equal(holds({ allOf: [good, { anyOf: [bad, { allOf: [bad] }] }] }), false);
  });

  it('asks the authority that signed, and no other', () => {
    assert.equal(holds({ allOf: [good] }, 'https://other.example'), false);
    assert.equal(holds({ allOf: [good] }, `${AUTHORITY}/`), true);
    const two = {
      version: '1.0.0',
      anyOf: [
        { authority: 'https://a.example', allOf: [bad] },
        { authority: 'https://b.example/', allOf: [good] },
      ],
    };
    const policy = parseReleasePolicy(JSON.stringify(two));
    assert.equal(satisfies(policy, 'https://a.example', CLAIMS), false);
    assert.equal(satisfies(policy, 'https://b.example', CLAIMS), true);
  });
});

describe('parseReleasePolicy', () => {
  it('refuses all that is not of the grammar', () => {
    const claim = { claim: 'a', equals: 1 };
    for (const policy of [
      {},
      { version: '1.0.0' },
      { version: '2.0.0', anyOf: [{ authority: AUTHORITY, allOf: [claim] }] },
      { version: '1.0.0', anyOf: [] },
      { version: '1.0.0', allOf: [{ authority: AUTHORITY, allOf: [claim] }] },
      { version: '1.0.0', anyOf: [{ authority: AUTHORITY, allOf: [claim] }], more: 1 },
      { version: '1.0.0', anyOf: [{ allOf: [claim] }] },
      { version: '1.0.0', anyOf: [{ authority: 'attest.example', allOf: [claim] }] },
      { version: '1.0.0', anyOf: [{ authority: AUTHORITY }] },
      { version: '1.0.0', anyOf: [{ authority: AUTHORITY, ...claim }] },
      { version: '1.0.0', anyOf: [{ authority: AUTHORITY, allOf: [claim], anyOf: [claim] }] },
    ])
      assert.throws(() => parseReleasePolicy(JSON.stringify(policy)), { name: 'MalformedError' });
    for (const condition of [
      {},
      { claim: 'a' },
      { claim: '', equals: 1 },
      { claim: 'a', like: 'b' },
      { claim: 'a', equals: [1] },
      { claim: 'a', equals: null },
      { claim: 'a', equals: 1, less: 2 },
      { equals: 1 },
      { allOf: [] },
      { allOf: [claim], claim: 'a' },
      [],
      'a',
    ])
      assert.throws(
        () => parseReleasePolicy(policyOf({ allOf: [condition] })),
        { name: 'MalformedError' },
        JSON.stringify(condition),
      );
  });

  it('refuses nesting without end, and what is no JSON', () => {
    let rule: object = { claim: 'a', equals: 1 };
    for (let depth = 0; depth < 40; depth += 1) rule = { allOf: [rule] };
    assert.throws(() => parseReleasePolicy(policyOf(rule)), { name: 'MalformedError' });
    const good = policyOf({ allOf: [{ claim: 'a', equals: 1 }] });
    for (let end = 0; end < good.length; end += 1)
      assert.throws(() => parseReleasePolicy(good.slice(0, end)), { name: 'MalformedError' });
  });
});
