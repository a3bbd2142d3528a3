import { isJsonObject, type JsonObject } from '@cloister/bytes';
import { RefusedError } from '../refused-error.ts';
import type { Directory } from '../store/directory.ts';

/** What a Patient must have here beyond FHIR R4: a name and an identifier (spec clinical.md 2.2). */
export function checkPatient(resource: JsonObject): void {
  if (resource['resourceType'] !== 'Patient') return;
  const complaints = ['identifier', 'name'].flatMap((element) =>
    resource[element] === undefined
      ? [{ code: 'required', expression: `Patient.${element}`, text: 'missing' }]
      : [],
  );
  if (complaints.length > 0) throw new RefusedError('invalid_resource', undefined, { complaints });
}

/** Refuses an identifier that another patient has; runs in the writer, so no two can slip in. */
export function refuseDuplicate(directory: Directory, resource: JsonObject, id: string): void {
  if (resource['resourceType'] !== 'Patient') return;
  const identifiers = Array.isArray(resource['identifier']) ? resource['identifier'] : [];
  for (const identifier of identifiers.filter(isJsonObject)) {
    const { system = '', value } = identifier;
    for (const known of directory.all('Patient')) {
      if (known.id === id) continue;
      for (const key of known.search.get('identifier') ?? [])
        if (key.kind === 'token' && key.system === system && key.code === value)
          throw new RefusedError('duplicate', undefined, {
            complaints: [
              {
                code: 'duplicate',
                expression: 'Patient.identifier',
                text: 'another patient has this identifier',
              },
            ],
          });
    }
  }
}
