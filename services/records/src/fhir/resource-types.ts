/** How a search parameter compares (FHIR R4, search). */
export type SearchType = 'token' | 'string' | 'reference' | 'date';

/** A search parameter of a type: where its values stand in the resource. */
export interface SearchParameter {
  readonly name: string;
  readonly type: SearchType;
  readonly paths: readonly string[];
  /** The only type a bare id may mean. */
  readonly target?: string;
}

/** Who may write a type through the interface; absent: the service alone. */
export type Role = 'clerk' | 'radiologist';

/** One type of resource: everything the routes, the search and the metadata know of it. */
export interface ResourceType {
  readonly name: string;
  readonly create?: readonly Role[];
  readonly update?: readonly Role[];
  /** Where the reference to the patient stands whose record it belongs to. */
  readonly patient?: string;
  readonly search: readonly SearchParameter[];
}

/** `name:type:path,path[:target]`, by which the table below stays one line per type. */
function parameters(...lines: readonly string[]): SearchParameter[] {
  return lines.map((line) => {
    const [name = '', type = '', paths = '', target] = line.split(':');
    return {
      name,
      type: TYPES[type] ?? 'token',
      paths: (paths || name).split(','),
      ...(target === undefined ? {} : { target }),
    };
  });
}

const TYPES: Readonly<Record<string, SearchType>> = {
  t: 'token',
  s: 'string',
  r: 'reference',
  d: 'date',
};
const COMMON = parameters('_id:t:id', '_lastUpdated:d:meta.lastUpdated');

/**
 * The one table from which routes, search and CapabilityStatement are made (spec clinical.md 2.2,
 * 2.5): what is not here does not exist.
 */
export const RESOURCE_TYPES: readonly ResourceType[] = [
  {
    name: 'Patient',
    create: ['clerk', 'radiologist'],
    update: ['clerk', 'radiologist'],
    patient: 'id',
    search: parameters(
      'identifier:t',
      'name:s:name',
      'family:s:name.family',
      'given:s:name.given',
      'birthdate:d:birthDate',
      'gender:t',
      'active:t',
      'phone:t:telecom',
    ),
  },
  {
    name: 'Practitioner',
    search: parameters('identifier:t', 'name:s:name', 'family:s:name.family', 'active:t'),
  },
  {
    name: 'ImagingStudy',
    patient: 'subject',
    search: parameters(
      'patient:r:subject:Patient',
      'subject:r:subject:Patient',
      'identifier:t',
      'modality:t:modality,series.modality',
      'started:d',
      'status:t',
      'basedon:r:basedOn:ServiceRequest',
    ),
  },
  {
    name: 'Task',
    create: ['clerk', 'radiologist'],
    patient: 'for',
    search: parameters(
      'patient:r:for:Patient',
      'subject:r:for:Patient',
      'status:t',
      'code:t',
      'focus:r:focus:ImagingStudy',
      'owner:r:owner:Device',
      'requester:r:requester:Practitioner',
      'priority:t',
      'authored-on:d:authoredOn',
      'modified:d:lastModified',
    ),
  },
  {
    name: 'Observation',
    patient: 'subject',
    search: parameters(
      'patient:r:subject:Patient',
      'subject:r:subject:Patient',
      'code:t',
      'category:t',
      'date:d:effectiveDateTime',
      'status:t',
      'derived-from:r:derivedFrom:ImagingStudy',
      'device:r:device:Device',
      'value-concept:t:valueCodeableConcept',
    ),
  },
  {
    name: 'DiagnosticReport',
    patient: 'subject',
    search: parameters(
      'patient:r:subject:Patient',
      'subject:r:subject:Patient',
      'status:t',
      'category:t',
      'code:t',
      'date:d:effectiveDateTime',
      'issued:d',
      'result:r:result:Observation',
      'conclusion:t:conclusionCode',
    ),
  },
  {
    name: 'Provenance',
    search: parameters(
      'target:r:target',
      'recorded:d',
      'agent:r:agent.who',
      'agent-type:t:agent.type',
    ),
  },
  {
    name: 'Device',
    search: parameters(
      'identifier:t',
      'type:t',
      'manufacturer:s',
      'model:s:modelNumber',
      'status:t',
    ),
  },
  {
    name: 'Communication',
    patient: 'subject',
    search: parameters(
      'patient:r:subject:Patient',
      'subject:r:subject:Patient',
      'recipient:r:recipient:Practitioner',
      'sender:r:sender:Device',
      'status:t',
      'sent:d',
      'received:d',
    ),
  },
  {
    name: 'AuditEvent',
    search: parameters(
      'patient:r:entity.what:Patient',
      'entity:r:entity.what',
      'agent:r:agent.who:Practitioner',
      'date:d:recorded',
      'action:t',
      'outcome:t',
      'type:t',
      'subtype:t',
    ),
  },
];

const byName = new Map(RESOURCE_TYPES.map((type) => [type.name, type]));

/** The type of that name, or undefined where the service has none. */
export function resourceType(name: string): ResourceType | undefined {
  return byName.get(name);
}

/** Every search parameter that a type answers. */
export function searchParameters(name: string): readonly SearchParameter[] {
  const type = byName.get(name);
  return type === undefined ? [] : [...COMMON, ...type.search];
}
