import { MalformedError, type JsonObject } from '@cloister/bytes';
import { numberOf, numbersOf, objectOf, textOf, textsOf } from './fields.ts';
import type { HeatMap, NewPatient, Session, StoredImage } from './records-api.ts';
import { displayName } from './records-views.ts';

/** The system of this deployment's record numbers. */
export const MRN_SYSTEM = 'urn:cloister:mrn';

/** The session that an answer begins. */
export function sessionOf(answer: JsonObject): Session {
  const user = objectOf(answer, 'user');
  const practitioner = user['practitioner'];
  const expires = new Date(textOf(answer, 'expires'));
  if (Number.isNaN(expires.getTime())) throw new MalformedError('bad_value', 'expires');
  return {
    token: textOf(answer, 'token'),
    user: {
      name: textOf(user, 'name'),
      role: textOf(user, 'role'),
      ...(typeof practitioner === 'string' ? { practitioner } : {}),
    },
    expires,
  };
}

/** A new patient as a FHIR resource. */
export function patientResource({ family, given, gender, birthDate, mrn }: NewPatient): JsonObject {
  const type = {
    coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'MR' }],
  };
  return {
    resourceType: 'Patient',
    identifier: [{ use: 'usual', type, system: MRN_SYSTEM, value: mrn }],
    name: [{ use: 'official', text: displayName(family, given), family, given: [given] }],
    gender,
    birthDate,
  };
}

/** The heat map in an answer. */
export function heatMapOf(answer: JsonObject): HeatMap {
  const width = numberOf(answer, 'width');
  const height = numberOf(answer, 'height');
  const values = numbersOf(answer, 'values');
  if (!isSide(width) || !isSide(height)) throw new MalformedError('bad_value', 'heat map: size');
  if (values.length !== width * height) throw new MalformedError('bad_value', 'heat map: values');
  if (values.some((value) => value < 0 || value > 1))
    throw new MalformedError('bad_value', 'heat map: range');
  return { width, height, values };
}

function isSide(n: number): boolean {
  return Number.isInteger(n) && n > 0 && n <= 4096;
}

/** What an answer to an upload says. */
export function storedImageOf(answer: JsonObject): StoredImage {
  const match = /^ImagingStudy\/(.+)$/.exec(textOf(answer, 'imagingStudy'));
  if (match?.[1] === undefined) throw new MalformedError('bad_value', 'imagingStudy');
  return {
    study: match[1],
    instance: textOf(answer, 'instance'),
    mismatch: textsOf(answer, 'mismatch'),
  };
}

/**
 * The condition under which a patient is created at most once: nobody has the record number yet
 * (FHIR R4, http 3.1.0.8.1). Separators in the number are escaped (search 3.1.1.4.4).
 */
export function ifNoSuchNumber(mrn: string): string {
  const value = mrn.replace(/[\\,|$]/g, '\\$&');
  return new URLSearchParams({ identifier: `${MRN_SYSTEM}|${value}` }).toString();
}
