import type { JsonObject } from '@cloister/bytes';
import { RESOURCE_TYPES, searchParameters } from './resource-types.ts';

/** What the FHIR interface can do, made of the table that the routes are made of (FHIR R4, http). */
export function capabilityStatement(date: Date, version: string): JsonObject {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: date.toISOString(),
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'json'],
    software: { name: 'Cloister records', version },
    implementation: { description: 'Reached only through the attested channel' },
    rest: [
      {
        mode: 'server',
        security: { cors: true, description: 'Bearer token of POST /session' },
        resource: RESOURCE_TYPES.map(({ name, create, update }) => ({
          type: name,
          interaction: [
            { code: 'read' },
            { code: 'vread' },
            { code: 'search-type' },
            ...(create === undefined ? [] : [{ code: 'create' }]),
            ...(update === undefined ? [] : [{ code: 'update' }]),
          ],
          versioning: update === undefined ? 'versioned' : 'versioned-update',
          updateCreate: false,
          conditionalCreate: create !== undefined,
          conditionalUpdate: false,
          conditionalDelete: 'not-supported',
          searchParam: searchParameters(name).map((p) => ({ name: p.name, type: p.type })),
        })),
      },
    ],
  };
}
