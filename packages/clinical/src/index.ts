export { isFhirResourceType } from './fhir/definitions.ts';
export { validateFhir, type FhirIssue } from './fhir/validate-fhir.ts';
