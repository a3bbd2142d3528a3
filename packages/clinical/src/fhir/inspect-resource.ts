import { isJsonObject, type JsonObject, type JsonValue } from '@cloister/bytes';
import { type ElementDefinition, fhirTypes, type TypeDefinition } from './definitions.ts';
import { narrativeProblem } from './narrative.ts';
import type { FhirIssue } from './validate-fhir.ts';

/** How deep a resource may nest: beyond it, nothing else is looked at. */
const MAX_DEPTH = 64;
/** FHIR R4, datatypes: id. */
const ID = /^[A-Za-z0-9\-.]{1,64}$/;
const RELATIVE = /^([A-Za-z]+)\/([^/]+)(?:\/_history\/([^/]+))?$/;

/**
 * The second pass (spec clinical.md D2). Walks the resource beside its definition and reports
 * what the structural validator lets through; unknown elements are that one's to report.
 */
export function inspectResource(resource: JsonObject): FhirIssue[] {
  if (tooDeep(resource, 0))
    return [found('too-long', undefined, `nested deeper than ${MAX_DEPTH} levels`)];
  const issues: FhirIssue[] = [];
  inspectWhole(resource, '', issues);
  return issues;
}

function tooDeep(value: JsonValue, depth: number): boolean {
  if (depth > MAX_DEPTH) return true;
  if (Array.isArray(value)) return value.some((item) => tooDeep(item, depth + 1));
  return isJsonObject(value) && Object.values(value).some((item) => tooDeep(item, depth + 1));
}

/** A resource by itself: the outer one, a contained one, one in a Bundle. */
function inspectWhole(resource: JsonObject, at: string, issues: FhirIssue[]): void {
  const name = resource['resourceType'];
  const type = typeof name === 'string' ? fhirTypes().get(name) : undefined;
  if (type === undefined || type.kind !== 'resource') {
    issues.push(found('not-supported', at || undefined, 'this type of resource is not supported'));
    return;
  }
  const { resourceType: _, ...members } = resource;
  const contained = containedTypes(resource);
  inspectObject(members, { type, prefix: '', at: at || type.name, contained, issues });
}

function containedTypes(resource: JsonObject): ReadonlyMap<string, string> {
  const types = new Map<string, string>();
  const list = resource['contained'];
  for (const item of Array.isArray(list) ? list : [])
    if (isJsonObject(item) && typeof item['id'] === 'string')
      if (typeof item['resourceType'] === 'string') types.set(item['id'], item['resourceType']);
  return types;
}

/** Where the walk is: a type, the path below it, the FHIRPath of the place. */
interface Place {
  readonly type: TypeDefinition;
  /** Ends with a point, or is empty at the type's root. */
  readonly prefix: string;
  readonly at: string;
  readonly contained: ReadonlyMap<string, string>;
  readonly issues: FhirIssue[];
}

function inspectObject(object: JsonObject, place: Place): void {
  const { at, issues } = place;
  if (Object.keys(object).length === 0) issues.push(found('structure', at, 'empty object'));
  const chosen = new Map<string, string>();
  for (const [member, value] of Object.entries(object)) {
    const here = `${at}.${member}`;
    inspectEmpty(value, here, member.startsWith('_'), issues);
    const [element, code] = elementOf(place, member.replace(/^_/, ''));
    if (element === undefined) continue;
    if (element.path.endsWith('[x]')) {
      const name = member.replace(/^_/, '');
      const other = chosen.get(element.path);
      if (other !== undefined && other !== name)
        issues.push(found('structure', here, `stands beside ${other}: only one may`));
      chosen.set(element.path, name);
    }
    if (member.startsWith('_')) continue;
    const items = Array.isArray(value) ? value : [value];
    items.forEach((item, i) => {
      const itemAt = Array.isArray(value) ? `${here}[${i}]` : here;
      if (item !== null) inspectValue(item, element, code, { ...place, at: itemAt });
    });
  }
}

/** No value may be empty; null stands only in arrays, for a primitive that has extensions only. */
function inspectEmpty(
  value: JsonValue,
  at: string,
  extensions: boolean,
  issues: FhirIssue[],
): void {
  if (value === null) issues.push(found('structure', at, 'null'));
  else if (value === '') issues.push(found('value', at, 'empty string'));
  else if (Array.isArray(value)) {
    if (value.length === 0) issues.push(found('structure', at, 'empty array'));
    if (value.some((item) => item === '')) issues.push(found('value', at, 'empty string'));
    if (value.length > 0 && value.every((item) => item === null) && extensions)
      issues.push(found('structure', at, 'array of nulls'));
    if (value.some((item) => Array.isArray(item)))
      issues.push(found('structure', at, 'array in an array'));
  }
}

/** The definition of a member, and the type it has there (a choice element names it). */
function elementOf(place: Place, member: string): [ElementDefinition | undefined, string] {
  for (const element of place.type.elements) {
    if (element.path === place.prefix + member) return [element, element.types[0]?.code ?? ''];
    if (!element.path.endsWith('[x]')) continue;
    const stem = element.path.slice(0, -3);
    const full = place.prefix + member;
    if (!full.startsWith(stem)) continue;
    const type = element.types.find(({ code }) => stem + capital(code) === full);
    if (type !== undefined) return [element, type.code];
  }
  return [undefined, ''];
}

const capital = (code: string) => code.charAt(0).toUpperCase() + code.slice(1);

function inspectValue(
  value: JsonValue,
  element: ElementDefinition,
  code: string,
  place: Place,
): void {
  const { at, issues } = place;
  inspectBinding(value, element, at, issues);
  if (typeof value === 'string') {
    const isId = code === 'id' || (element.path === 'id' && place.type.kind === 'resource');
    if (isId && !ID.test(value)) issues.push(found('value', at, 'not an id'));
    if (code === 'xhtml') {
      const problem = narrativeProblem(value);
      if (problem !== undefined) issues.push(found('structure', at, problem));
    }
    return;
  }
  if (!isJsonObject(value)) return;
  if (code === 'Reference') inspectReference(value, element, place);
  if (code === 'Resource' || 'resourceType' in value) {
    inspectWhole(value, at, issues);
    return;
  }
  const type = fhirTypes().get(code);
  if (element.contentReference !== undefined) {
    const [name = '', ...path] = element.contentReference.split('.');
    const owner = fhirTypes().get(name) ?? place.type;
    inspectObject(value, { ...place, type: owner, prefix: `${path.join('.')}.` });
  } else if (code === 'BackboneElement' || code === 'Element' || type === undefined)
    inspectObject(value, { ...place, prefix: `${element.path}.` });
  else inspectObject(value, { ...place, type, prefix: '' });
}

/** A required binding (FHIR R4, terminologies 4.1.5): the code must be of the value set. */
function inspectBinding(
  value: JsonValue,
  { codes }: ElementDefinition,
  at: string,
  issues: FhirIssue[],
): void {
  if (codes === undefined) return;
  const given = codesIn(value);
  if (given.length > 0 && !given.some((code) => codes.has(code)))
    issues.push(found('code-invalid', at, 'not a code of the value set that is required here'));
}

/** The code of a code or Coding, the codes of a CodeableConcept. */
function codesIn(value: JsonValue): string[] {
  if (typeof value === 'string') return [value];
  if (!isJsonObject(value)) return [];
  if (typeof value['code'] === 'string') return [value['code']];
  const coding = value['coding'];
  return Array.isArray(coding) ? coding.flatMap(codesIn) : [];
}

/** What a reference may point at: only types that its element allows, and only by good ids. */
function inspectReference(value: JsonObject, element: ElementDefinition, place: Place): void {
  const targets = element.types.flatMap((type) => (type.code === 'Reference' ? type.targets : []));
  const allowed = (type: string) => targets.length === 0 || targets.includes(type);
  const wrong = (detail: string) => place.issues.push(found('value', place.at, detail));
  const { reference, type } = value;
  if (typeof type === 'string' && !allowed(type)) wrong('points at a type not allowed here');
  if (typeof reference !== 'string') return;
  if (reference.startsWith('#')) {
    const contained = place.contained.get(reference.slice(1));
    if (contained !== undefined && !allowed(contained)) wrong('points at a type not allowed here');
    return;
  }
  const match = RELATIVE.exec(reference);
  if (match === null) {
    if (!/^[a-z][a-z0-9+.-]*:/i.test(reference)) wrong('neither relative nor absolute');
    return;
  }
  const [, target = '', id = '', version] = match;
  if (!allowed(target)) wrong('points at a type not allowed here');
  if (!ID.test(id) || (version !== undefined && !ID.test(version))) wrong('id is not one');
}

function found(code: string, expression: string | undefined, details: string): FhirIssue {
  return { severity: 'error', code, ...(expression === undefined ? {} : { expression }), details };
}
