import type { JsonObject } from '@cloister/bytes';
import {
  indexStructureDefinitionBundle,
  OperationOutcomeError,
  validateResource,
} from '@medplum/core';
import type { OperationOutcomeIssue, Resource } from '@medplum/fhirtypes';
import { isFhirResourceType } from './definitions.ts';
import { inspectResource } from './inspect-resource.ts';
import { structureDefinitions } from './structure-definitions.ts';

/** What is wrong with a resource: a FHIR issue-type code, where (FHIRPath), and a short reason. */
export interface FhirIssue {
  readonly severity: 'fatal' | 'error' | 'warning' | 'information';
  readonly code: string;
  /** FHIRPath of the element. */
  readonly expression?: string;
  /** Names of elements and types only; never the value that was refused. */
  readonly details: string;
}

let indexed = false;

/**
 * Everything that is wrong with a resource by FHIR R4 (empty: nothing): the structural rules of
 * `validateResource` of @medplum/core, and a second pass for what that lets through (spec
 * clinical.md D2): depth, required bindings, ids, empty values, choice types, reference targets,
 * narrative.
 */
export function validateFhir(resource: JsonObject): FhirIssue[] {
  const type = resource['resourceType'];
  if (typeof type !== 'string' || !isFhirResourceType(type))
    return [issue('not-supported', 'resourceType', 'this type of resource is not supported')];
  const issues = inspectResource(resource);
  // A too deep resource would overflow the stack of the structural pass.
  if (issues.some(({ code }) => code === 'too-long')) return issues;
  if (!indexed) {
    indexStructureDefinitionBundle(structureDefinitions());
    indexed = true;
  }
  return [...issues, ...structuralIssues(resource)];
}

function structuralIssues(resource: JsonObject): FhirIssue[] {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it checks the shape itself
    return validateResource(resource as unknown as Resource).flatMap(translate);
  } catch (error) {
    if (error instanceof OperationOutcomeError)
      return error.outcome.issue?.flatMap(translate) ?? [];
    // The constraint language evaluates whatever stands there: what it cannot is not valid.
    if (error instanceof Error) return [issue('exception', undefined, 'cannot be evaluated')];
    throw error;
  }
}

/** Keeps code and place of an issue. Its text may quote the value, so ours says only which rule. */
function translate(found: OperationOutcomeIssue): FhirIssue[] {
  const code = found.code ?? 'invalid';
  const severity = found.severity ?? 'error';
  if (severity === 'warning' || severity === 'information') return [];
  const constraint = /\b([a-z]{3,4}-\d+[a-z]?)\b/.exec(found.details?.text ?? '')?.[1];
  return [issue(code, found.expression?.[0], constraint ?? TEXTS.get(code) ?? 'not valid')];
}

const TEXTS = new Map([
  ['structure', 'not an element of this type, or not of this shape'],
  ['required', 'missing'],
  ['value', 'not a value of this type'],
  ['invalid', 'not valid'],
  ['invariant', 'a constraint does not hold'],
]);

function issue(code: string, expression: string | undefined, details: string): FhirIssue {
  return { severity: 'error', code, ...(expression === undefined ? {} : { expression }), details };
}
