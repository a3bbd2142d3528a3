import type { Bundle, StructureDefinition } from '@medplum/fhirtypes';
import {
  constraintExpression,
  type ElementDefinition,
  fhirTypes,
  type TypeDefinition,
} from './definitions.ts';

const BASE = 'http://hl7.org/fhir/StructureDefinition/';

/** The compact table again as the StructureDefinitions that `@medplum/core` indexes. */
export function structureDefinitions(): Bundle {
  const resources = [...fhirTypes().values()].map(structureDefinition);
  return {
    resourceType: 'Bundle',
    type: 'collection',
    entry: resources.map((resource) => ({ resource })),
  };
}

function structureDefinition(type: TypeDefinition): StructureDefinition {
  const root = {
    id: type.name,
    path: type.name,
    min: 0,
    max: '*',
    base: { path: type.name, min: 0, max: '*' },
    constraint: type.constraints.flatMap(constraintOf),
  };
  return {
    resourceType: 'StructureDefinition',
    id: type.name,
    url: `${BASE}${type.name}`,
    name: type.name,
    status: 'active',
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table's kinds are FHIR's
    kind: type.kind as NonNullable<StructureDefinition['kind']>,
    abstract: type.name === 'Resource' || type.name === 'DomainResource',
    type: type.name,
    ...(type.base === undefined
      ? {}
      : { baseDefinition: `${BASE}${type.base}`, derivation: 'specialization' }),
    snapshot: { element: [root, ...type.elements.map((e) => elementOf(type.name, e))] },
  };
}

function elementOf(type: string, element: ElementDefinition) {
  const { min, max, types, contentReference, constraints } = element;
  const path = `${type}.${element.path}`;
  return {
    id: path,
    path,
    min,
    max,
    base: { path, min, max },
    ...(contentReference === undefined
      ? { type: types.map(({ code, targets }) => typeOf(code, targets)) }
      : { contentReference: `#${contentReference}` }),
    constraint: constraints.flatMap(constraintOf),
  };
}

function typeOf(code: string, targets: readonly string[]) {
  if (targets.length === 0) return { code };
  return { code, targetProfile: targets.map((target) => `${BASE}${target}`) };
}

function constraintOf(key: string) {
  const expression = constraintExpression(key);
  if (expression === undefined) return [];
  return [{ key, severity: 'error' as const, human: `constraint ${key}`, expression }];
}
