import {
  decodeBase64,
  decodeUtf8,
  isJsonObject,
  MalformedError,
  type JsonObject,
} from '@cloister/bytes';
import { numberOf, objectOf, objectsOf, optionalTextOf, textOf, textsOf } from './fields.ts';

/** Administrative sex as FHIR R4 has it. */
export type Gender = 'male' | 'female' | 'other' | 'unknown';
const GENDERS: readonly Gender[] = ['male', 'female', 'other', 'unknown'];

/** What lists and banners show of a FHIR Patient. */
export interface PatientView {
  readonly id: string;
  readonly family: string;
  readonly given: string;
  /** The name as it is to be shown. */
  readonly name: string;
  readonly gender: Gender;
  /** FHIR date: YYYY, YYYY-MM or YYYY-MM-DD. */
  readonly birthDate?: string;
  /** Medical record number. */
  readonly mrn?: string;
}

/** What screens show of a FHIR ImagingStudy. */
export interface StudyView {
  readonly id: string;
  readonly patient: string;
  readonly modality: string;
  readonly bodyPart?: string;
  /** FHIR dateTime. */
  readonly started?: string;
  readonly sopInstanceUid?: string;
}

/** Where an analysis stands (FHIR Task). */
export type TaskStatus =
  | 'requested'
  | 'accepted'
  | 'in-progress'
  | 'completed'
  | 'failed'
  | 'rejected'
  | 'cancelled';
const TASK_STATUSES: readonly TaskStatus[] = [
  'requested',
  'accepted',
  'in-progress',
  'completed',
  'failed',
  'rejected',
  'cancelled',
];

/** What screens show of a FHIR Task that asks a model. */
export interface TaskView {
  readonly id: string;
  readonly status: TaskStatus;
  /** Id of the ImagingStudy. */
  readonly study?: string;
  /** Id of the Patient. */
  readonly patient?: string;
  readonly reason?: { readonly code: string; readonly text?: string };
  /** Id of the DiagnosticReport, when completed. */
  readonly report?: string;
  readonly authoredOn?: string;
  readonly lastModified?: string;
}

/** What screens show of a FHIR DiagnosticReport. */
export interface ReportView {
  readonly id: string;
  readonly status: string;
  readonly patient?: string;
  readonly issued?: string;
  readonly conclusion?: string;
  /** Ids of its Observations. */
  readonly observations: readonly string[];
  /** Ids of its ImagingStudies. */
  readonly studies: readonly string[];
}

/** What screens show of an Observation that a model made. */
export interface FindingView {
  readonly id: string;
  readonly status: string;
  /** Absent where nothing reached the threshold: which is not "normal". */
  readonly finding?: { readonly system?: string; readonly code?: string; readonly text: string };
  /** The model's score, 0 to 1; not a probability of disease. */
  readonly score: number;
  readonly threshold: number;
  /** Id of the Device. */
  readonly device?: string;
  /** Id of the ImagingStudy. */
  readonly study?: string;
}

/** What screens show of the Device that stands for a model. */
export interface ModelView {
  /** The model's name in the manifest, where the Device states it, else its display name. */
  readonly name: string;
  /** Its display name. */
  readonly title: string;
  /** What the provider says that it is for. */
  readonly note?: string;
  readonly version: string;
  readonly manufacturer?: string;
  /** Device.property by its type's text or code. */
  readonly properties: Readonly<Record<string, string>>;
}

/** What a Provenance says about how a result came to be. */
export interface ResultEvidence {
  /** Compact JWS of the provider's enclave. */
  readonly receipt?: string;
  readonly recorded?: string;
  /** Members of the extension urn:cloister:evidence. */
  readonly facts: Readonly<Record<string, string | boolean>>;
  /** The model's raw outputs, for demonstration only: never shown as diagnosis. */
  readonly probabilities: Readonly<Record<string, number>>;
}

const fail = (what: string): never => {
  throw new MalformedError('bad_value', what);
};

/** Checks the type of a FHIR resource. */
export function expectType(resource: JsonObject, type: string): JsonObject {
  return resource['resourceType'] === type ? resource : fail(`resourceType is not ${type}`);
}

/** The id in a reference to a type of resource (`Type/id`, also versioned), or undefined. */
function referenceId(value: unknown, type: string): string | undefined {
  if (!isJsonObject(value)) return undefined;
  const match = /^([A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})(\/_history\/.+)?$/.exec(
    optionalTextOf(value, 'reference') ?? '',
  );
  return match?.[1] === type ? match[2] : undefined;
}

/** Reads a FHIR Patient. */
export function patientView(resource: JsonObject): PatientView {
  expectType(resource, 'Patient');
  const name = objectsOf(resource, 'name')[0] ?? {};
  const family = optionalTextOf(name, 'family') ?? '';
  const given = textsOf(name, 'given').join(' ');
  const identifiers = objectsOf(resource, 'identifier');
  const mrn = (identifiers.find(isMrn) ?? identifiers[0])?.['value'];
  const birthDate = optionalTextOf(resource, 'birthDate');
  return {
    id: textOf(resource, 'id'),
    family,
    given,
    name: optionalTextOf(name, 'text') ?? displayName(family, given),
    gender: GENDERS.find((gender) => gender === resource['gender']) ?? 'unknown',
    ...(birthDate === undefined ? {} : { birthDate }),
    ...(typeof mrn === 'string' ? { mrn } : {}),
  };
}

function isMrn(identifier: JsonObject): boolean {
  const type = identifier['type'];
  return isJsonObject(type) && objectsOf(type, 'coding').some((coding) => coding['code'] === 'MR');
}

/** Chinese names: family first, without a space; others: given name first. */
export function displayName(family: string, given: string): string {
  if (/\p{Script=Han}/u.test(family + given)) return `${family}${given}`;
  return [given, family].filter((part) => part !== '').join(' ');
}

/** Reads a FHIR ImagingStudy. */
export function studyView(resource: JsonObject): StudyView {
  expectType(resource, 'ImagingStudy');
  const series = objectsOf(resource, 'series')[0];
  const site = series?.['bodySite'];
  const bodyPart = isJsonObject(site) ? optionalTextOf(site, 'display') : undefined;
  const modality =
    objectsOf(resource, 'modality')[0] ??
    (series === undefined ? undefined : objectOf(series, 'modality'));
  const started = optionalTextOf(resource, 'started');
  const instance = series === undefined ? undefined : objectsOf(series, 'instance')[0];
  const uid = instance === undefined ? undefined : optionalTextOf(instance, 'uid');
  return {
    id: textOf(resource, 'id'),
    patient: referenceId(resource['subject'], 'Patient') ?? fail('subject'),
    modality: modality === undefined ? '' : (optionalTextOf(modality, 'code') ?? ''),
    ...(bodyPart === undefined ? {} : { bodyPart }),
    ...(started === undefined ? {} : { started }),
    ...(uid === undefined ? {} : { sopInstanceUid: uid }),
  };
}

/** Reads a FHIR Task. */
export function taskView(resource: JsonObject): TaskView {
  expectType(resource, 'Task');
  const reason = resource['statusReason'];
  const code = isJsonObject(reason) ? objectsOf(reason, 'coding')[0]?.['code'] : undefined;
  const text = isJsonObject(reason) ? optionalTextOf(reason, 'text') : undefined;
  const output = objectsOf(resource, 'output')
    .map((entry) => referenceId(entry['valueReference'], 'DiagnosticReport'))
    .find((id) => id !== undefined);
  const study = referenceId(resource['focus'], 'ImagingStudy');
  const patient = referenceId(resource['for'], 'Patient');
  const authoredOn = optionalTextOf(resource, 'authoredOn');
  const lastModified = optionalTextOf(resource, 'lastModified');
  return {
    id: textOf(resource, 'id'),
    status: TASK_STATUSES.find((status) => status === resource['status']) ?? fail('Task.status'),
    ...(study === undefined ? {} : { study }),
    ...(patient === undefined ? {} : { patient }),
    ...(typeof code === 'string'
      ? { reason: { code, ...(text === undefined ? {} : { text }) } }
      : {}),
    ...(output === undefined ? {} : { report: output }),
    ...(authoredOn === undefined ? {} : { authoredOn }),
    ...(lastModified === undefined ? {} : { lastModified }),
  };
}

/** Reads a FHIR DiagnosticReport. */
export function reportView(resource: JsonObject): ReportView {
  expectType(resource, 'DiagnosticReport');
  const ids = (member: string, type: string): string[] =>
    objectsOf(resource, member).flatMap((reference) => referenceId(reference, type) ?? []);
  const patient = referenceId(resource['subject'], 'Patient');
  const issued = optionalTextOf(resource, 'issued');
  const conclusion = optionalTextOf(resource, 'conclusion');
  return {
    id: textOf(resource, 'id'),
    status: textOf(resource, 'status'),
    ...(patient === undefined ? {} : { patient }),
    ...(issued === undefined ? {} : { issued }),
    ...(conclusion === undefined ? {} : { conclusion }),
    observations: ids('result', 'Observation'),
    studies: ids('imagingStudy', 'ImagingStudy'),
  };
}

const SCORE = new Set(['score', 'probability']);
const THRESHOLD = new Set(['threshold', 'operating threshold', 'operating-threshold']);

/** Reads an Observation that a model made; refuses one without score and threshold. */
export function findingView(resource: JsonObject): FindingView {
  expectType(resource, 'Observation');
  const component = (names: ReadonlySet<string>): number => {
    const found = objectsOf(resource, 'component').find((entry) =>
      labelsOf(entry['code']).some((label) => names.has(label)),
    );
    return found === undefined
      ? fail('component')
      : numberOf(objectOf(found, 'valueQuantity'), 'value');
  };
  const device = referenceId(resource['device'], 'Device');
  const study = objectsOf(resource, 'derivedFrom')
    .map((reference) => referenceId(reference, 'ImagingStudy'))
    .find((id) => id !== undefined);
  const score = component(SCORE);
  const threshold = component(THRESHOLD);
  const finding = score >= threshold ? conceptOf(resource['valueCodeableConcept']) : undefined;
  return {
    id: textOf(resource, 'id'),
    status: textOf(resource, 'status'),
    ...(finding === undefined ? {} : { finding }),
    score,
    threshold,
    ...(device === undefined ? {} : { device }),
    ...(study === undefined ? {} : { study }),
  };
}

function conceptOf(value: unknown): FindingView['finding'] {
  if (!isJsonObject(value)) return undefined;
  const coding = objectsOf(value, 'coding')[0] ?? {};
  const system = optionalTextOf(coding, 'system');
  const code = optionalTextOf(coding, 'code');
  const text = optionalTextOf(value, 'text') ?? optionalTextOf(coding, 'display') ?? code;
  if (text === undefined) return undefined;
  return {
    ...(system === undefined ? {} : { system }),
    ...(code === undefined ? {} : { code }),
    text,
  };
}

function labelsOf(concept: unknown): string[] {
  if (!isJsonObject(concept)) return [];
  const text = optionalTextOf(concept, 'text');
  const codes = objectsOf(concept, 'coding').flatMap((c) => optionalTextOf(c, 'code') ?? []);
  return text === undefined ? codes : [...codes, text];
}

/** Reads a Device that stands for a model. */
export function modelView(resource: JsonObject): ModelView {
  expectType(resource, 'Device');
  const name = objectsOf(resource, 'deviceName')[0];
  const version = objectsOf(resource, 'version')[0];
  const manufacturer = optionalTextOf(resource, 'manufacturer');
  const properties: Record<string, string> = {};
  for (const property of objectsOf(resource, 'property')) {
    const label = labelsOf(property['type'])[0];
    const value = objectsOf(property, 'valueCode').flatMap(labelsOf)[0];
    if (label !== undefined && value !== undefined) properties[label] = value;
  }
  const title = name === undefined ? '' : textOf(name, 'name');
  const note = objectsOf(resource, 'note')[0]?.['text'];
  return {
    name: properties['model'] ?? title,
    title,
    ...(typeof note === 'string' ? { note } : {}),
    version: version === undefined ? '' : textOf(version, 'value'),
    ...(manufacturer === undefined ? {} : { manufacturer }),
    properties,
  };
}

const RAW_MEMBERS = ['valueString', 'valueCode', 'valueUri', 'valueBoolean', 'valueDateTime'];

/** Reads the Provenance of a result. */
export function evidenceView(resource: JsonObject): ResultEvidence {
  expectType(resource, 'Provenance');
  const facts: Record<string, string | boolean> = {};
  const probabilities: Record<string, number> = {};
  for (const extension of objectsOf(resource, 'extension')) {
    for (const part of objectsOf(extension, 'extension')) {
      const name = textOf(part, 'url');
      if (extension['url'] === 'urn:cloister:model-probabilities')
        probabilities[name] = numberOf(part, 'valueDecimal');
      const value = RAW_MEMBERS.map((member) => part[member]).find((v) => v !== undefined);
      if (extension['url'] === 'urn:cloister:evidence')
        facts[name] = typeof value === 'string' || typeof value === 'boolean' ? value : fail(name);
    }
  }
  const recorded = optionalTextOf(resource, 'recorded');
  const signature = objectsOf(resource, 'signature')[0];
  const data = signature === undefined ? undefined : optionalTextOf(signature, 'data');
  return {
    ...(data === undefined
      ? {}
      : { receipt: decodeUtf8(decodeBase64(data, 'signature'), 'signature') }),
    ...(recorded === undefined ? {} : { recorded }),
    facts,
    probabilities,
  };
}
