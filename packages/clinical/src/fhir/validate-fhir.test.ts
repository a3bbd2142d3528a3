import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { JsonObject, JsonValue } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { makeFhirDefinitions } from '../../tools/make-fhir-definitions.ts';
import { isFhirResourceType } from './definitions.ts';
import { validateFhir } from './validate-fhir.ts';

const PATIENT: JsonObject = {
  resourceType: 'Patient',
  id: 'p1',
  name: [{ family: 'Zhang', given: ['Wei'] }],
  gender: 'male',
  birthDate: '1980-02-03',
};
const codes = (resource: JsonObject) => validateFhir(resource).map(({ code }) => code);
const refuses = (change: JsonObject, code: string, expression?: string) => {
  const issues = validateFhir({ ...PATIENT, ...change });
  const hit = issues.find((i) => i.code === code && (!expression || i.expression === expression));
  assert.ok(hit, JSON.stringify(issues));
};

describe('validateFhir', () => {
  it('accepts a good resource', () => {
    assert.deepEqual(validateFhir(PATIENT), []);
  });

  it('refuses a type it does not know', () => {
    assert.deepEqual(codes({ resourceType: 'Wombat' }), ['not-supported']);
    assert.deepEqual(codes({}), ['not-supported']);
    assert.deepEqual(codes({ resourceType: 'HumanName' }), ['not-supported']);
    assert.deepEqual(codes({ resourceType: 'DomainResource' }), ['not-supported']);
  });

  it('refuses an unknown element', () => refuses({ favouriteColour: 'blue' }, 'structure'));
  it('refuses a missing required element', () => {
    assert.ok(codes({ resourceType: 'Task', intent: 'order' }).includes('structure'));
  });
  it('refuses a wrong type', () => {
    const issues = validateFhir({ ...PATIENT, birthDate: 17 });
    assert.notEqual(issues.length, 0);
  });
  it('refuses a code outside a required binding', () =>
    refuses({ gender: 'xyz' }, 'code-invalid', 'Patient.gender'));
  it('refuses a bad code deep inside', () =>
    refuses({ name: [{ family: 'A', use: 'zzz' }] }, 'code-invalid', 'Patient.name[0].use'));
  it('refuses a bad id', () => refuses({ id: 'a b/c' }, 'value', 'Patient.id'));
  it('refuses an id of 65 characters', () => refuses({ id: 'a'.repeat(65) }, 'value'));
  it('refuses an empty array', () => refuses({ name: [] }, 'structure', 'Patient.name'));
  it('refuses an empty object', () => refuses({ name: [{}] }, 'structure', 'Patient.name[0]'));
  it('refuses an empty string', () => refuses({ birthDate: '' }, 'value', 'Patient.birthDate'));
  it('refuses null', () => refuses({ birthDate: null }, 'structure', 'Patient.birthDate'));
  it('refuses two types of one choice element', () =>
    refuses({ deceasedBoolean: false, deceasedDateTime: '2020' }, 'structure'));
  it('accepts a primitive with its extensions', () => {
    const extension = [{ url: 'urn:x', valueString: 'y' }];
    assert.deepEqual(codes({ ...PATIENT, _birthDate: { extension } }), []);
  });
  it('refuses a reference to a type not allowed there', () =>
    refuses({ managingOrganization: { reference: 'Patient/1' } }, 'value'));
  it('refuses a reference with a bad id, or none at all', () => {
    refuses({ managingOrganization: { reference: 'Organization/a b' } }, 'value');
    refuses({ managingOrganization: { reference: 'somewhere' } }, 'value');
  });
  it('refuses a contained resource of a type not allowed there', () =>
    refuses(
      {
        contained: [{ resourceType: 'Patient', id: 'c', active: true }],
        managingOrganization: { reference: '#c' },
      },
      'value',
    ));
  it('refuses a bad code in a contained resource', () =>
    refuses(
      {
        contained: [{ resourceType: 'Patient', id: 'c', gender: 'xyz' }],
        link: [{ other: { reference: '#c' }, type: 'refer' }],
      },
      'code-invalid',
    ));

  it('refuses deep nesting without overflowing', () => {
    let extension: JsonValue = [{ url: 'urn:x', valueString: 'y' }];
    for (let i = 0; i < 5000; i++) extension = [{ url: 'urn:x', extension }];
    assert.deepEqual(codes({ ...PATIENT, extension }), ['too-long']);
  });

  it('never quotes the value it refuses', () => {
    const secret = 'CANARY-7f3a';
    const bad = { ...PATIENT, gender: secret, birthDate: secret, [secret]: 1, id: `${secret} ` };
    const texts = validateFhir(bad).map(({ details, code }) => details + code);
    assert.equal(texts.join(' ').includes(secret), false, texts.join(' '));
  });
});

const narrative = (inner: string) =>
  codes({
    ...PATIENT,
    text: {
      status: 'generated',
      div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>`,
    },
  });

describe('validateFhir on narratives', () => {
  for (const good of [
    'plain',
    '<p class="x">a <b>b</b><br/>&amp; &#160;</p>',
    '<a href="https://example.org/?a=1&amp;b=2">x</a>',
    '<img src="#pic" alt="x"/>',
    '<!-- note --><table><tr><td colspan="2">1</td></tr></table>',
  ])
    it(`accepts ${good}`, () => assert.deepEqual(narrative(good), []));
  for (const bad of [
    '<script>alert(1)</script>',
    '<p onclick="x()">a</p>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="java&#115;cript:alert(1)">x</a>',
    '<a href=" JaVaScRiPt:alert(1)">x</a>',
    '<img src="data:text/html;base64,AAAA"/>',
    '<iframe src="https://example.org"/>',
    '<p style="background:url(https://example.org)">a</p>',
    '<p><b>a</p></b>',
    '<p>a',
    '<p>a &b</p>',
    '<?xml version="1.0"?>',
    '<p hidden>a</p>',
    '<svg xmlns="http://www.w3.org/2000/svg"/>',
    '</div><div>',
  ])
    it(`refuses ${bad}`, () => assert.ok(narrative(bad).includes('structure')));
});

const text = (json: string) => JSON.stringify(JSON.parse(json));

describe('the definitions', () => {
  it('are what the tool makes of the published ones', () => {
    const file = readFileSync(new URL('definitions.json', import.meta.url), 'utf8');
    assert.equal(text(makeFhirDefinitions()), text(file));
  });
});

describe('the official R4 examples of our types', { skip: sharedMissing }, () => {
  const folder = shared('vectors/fhir/examples-r4');
  /** Official, and wrong: white space inside base64; an Encounter that performs an Observation. */
  const wrong = new Set([
    'Binary-example.json',
    'Media-example.json',
    'Observation-clinical-gender.json',
  ]);
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as JsonObject;
  const names = sharedMissing
    ? []
    : readdirSync(folder).filter((name) => isFhirResourceType(name.split('-')[0] ?? ''));
  it('are there', () => assert.ok(names.length > 150));
  for (const name of names.filter((n) => !n.startsWith('Bundle') && !wrong.has(n)))
    it(name, () => assert.deepEqual(validateFhir(read(name)), []));
  for (const name of wrong)
    it(`${name} is refused`, () => assert.notEqual(validateFhir(read(name)).length, 0));
});

describe('the shapes of our flow', { skip: sharedMissing }, () => {
  const folder = shared('spec/clinical-shapes');
  const names = sharedMissing
    ? []
    : readdirSync(folder).filter((n) => n.endsWith('.json') && n !== 'required-bindings.json');
  for (const name of names)
    it(name, () => {
      const resource = JSON.parse(readFileSync(join(folder, name), 'utf8')) as JsonObject;
      assert.deepEqual(validateFhir(resource), []);
    });
});
