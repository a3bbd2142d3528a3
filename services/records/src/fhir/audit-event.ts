import { encodeBase64, encodeUtf8, type JsonObject } from '@cloister/bytes';

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const EVENT_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-event-type';
const INTERACTION = 'http://hl7.org/fhir/restful-interaction';
const ENTITY_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const OBJECT_ROLE = 'http://terminology.hl7.org/CodeSystem/object-role';
const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
const BALP = 'https://profiles.ihe.net/ITI/BALP';

/** What every audit event says of the request that it records. */
export interface AuditContext {
  /** The service's own Device: `Device/<id>`. */
  readonly device: string;
  readonly at: Date;
  readonly requestId: string;
  /** Reference to the Practitioner; absent for what the service does by itself. */
  readonly user?: string;
}

/** 0 success, 4 minor, 8 serious, 12 major failure. */
export type AuditOutcome = '0' | '4' | '8' | '12';

/** What was done to which resource (IHE BALP; spec clinical.md 8). */
export interface AccessEvent {
  readonly interaction: 'read' | 'vread' | 'create' | 'update';
  /** `Type/id`, versioned where it was written. */
  readonly resource: string;
  /** `Patient/<id>` whose record it is. */
  readonly patient?: string;
}

const PROFILE = { read: 'Read', vread: 'Read', create: 'Create', update: 'Update' } as const;
const ACTION = { read: 'R', vread: 'R', create: 'C', update: 'U' } as const;

/** A resource was read, created or updated. */
export function accessAudit(context: AuditContext, event: AccessEvent): JsonObject {
  const { interaction, resource, patient } = event;
  const name = `${patient === undefined ? '' : 'Patient'}${PROFILE[interaction]}`;
  // BALP: on a read the server is the source of the data, on a write it is the destination.
  const reads = interaction === 'read' || interaction === 'vread';
  return {
    ...frame(context, { code: 'rest', system: EVENT_TYPE }, ACTION[interaction], '0'),
    meta: { profile: [`${BALP}/StructureDefinition/IHE.BasicAudit.${name}`] },
    subtype: [{ system: INTERACTION, code: interaction }],
    agent: agents(context, reads ? 'source' : 'destination'),
    entity: [...patientEntity(patient), dataEntity(resource, '4'), requestEntity(context)],
  };
}

/** A search was made; one event for each patient in its result. */
export function searchAudit(
  context: AuditContext,
  query: string,
  patient: string | undefined,
): JsonObject {
  const name = patient === undefined ? 'Query' : 'PatientQuery';
  return {
    ...frame(context, { code: 'rest', system: EVENT_TYPE }, 'E', '0'),
    meta: { profile: [`${BALP}/StructureDefinition/IHE.BasicAudit.${name}`] },
    subtype: [{ system: INTERACTION, code: 'search-type' }],
    agent: agents(context, 'destination'),
    entity: [
      ...patientEntity(patient),
      {
        type: { system: ENTITY_TYPE, code: '2' },
        role: { system: OBJECT_ROLE, code: '24', display: 'Query' },
        query: encodeBase64(encodeUtf8(query)),
      },
      requestEntity(context),
    ],
  };
}

/** Somebody signed in or out, or tried to. */
export function loginAudit(
  context: AuditContext,
  what: 'login' | 'logout',
  outcome: AuditOutcome,
): JsonObject {
  const [code, display] = what === 'login' ? ['110122', 'Login'] : ['110123', 'Logout'];
  const who = context.user === undefined ? { display: 'unknown' } : { reference: context.user };
  return {
    ...frame(
      context,
      { system: DCM, code: '110114', display: 'User Authentication' },
      'E',
      outcome,
    ),
    subtype: [{ system: DCM, code, display }],
    agent: [{ type: concept(PARTICIPATION, 'IRCP'), who, requestor: true }],
    entity: [requestEntity(context)],
  };
}

/** Something was refused to somebody who is signed in. */
export function denialAudit(context: AuditContext, resource: string): JsonObject {
  return {
    ...frame(context, { system: DCM, code: '110113', display: 'Security Alert' }, 'E', '4'),
    subtype: [{ system: `${BALP}/CodeSystem/BasicAuditEntityType`, code: 'AuthZ-Role' }],
    agent: agents(context, 'destination'),
    entity: [dataEntity(resource, '4'), requestEntity(context)],
  };
}

/** What was found out about a provider before anything was sent to it. */
export interface PeerFacts {
  readonly evidenceDigest?: string;
  readonly measurement?: string;
  readonly modelDigest?: string;
  readonly manifest: string;
  readonly simulated?: boolean;
  /** The check that failed. */
  readonly code?: string;
}

/** A provider's evidence was verified, or refused. */
export function attestationAudit(
  context: AuditContext,
  facts: PeerFacts,
  accepted: boolean,
): JsonObject {
  return {
    ...frame(
      context,
      { system: DCM, code: '110100', display: 'Application Activity' },
      'E',
      accepted ? '0' : '8',
    ),
    subtype: [{ system: 'urn:cloister:audit-event', code: 'attestation-check' }],
    agent: agents(context, 'destination'),
    entity: [peerEntity(facts), requestEntity(context)],
  };
}

/** Pixels are about to leave for a provider that was verified; written before they do. */
export function disclosureAudit(
  context: AuditContext,
  event: { readonly patient: string; readonly study: string; readonly recipient: string },
  facts: PeerFacts,
): JsonObject {
  return {
    ...frame(context, { system: DCM, code: '110106', display: 'Export' }, 'R', '0'),
    meta: {
      profile: [`${BALP}/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source`],
    },
    subtype: [
      { system: 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle', code: 'disclose' },
    ],
    purposeOfEvent: [concept('http://terminology.hl7.org/CodeSystem/v3-ActReason', 'TREAT')],
    agent: [
      { type: concept(DCM, '110153'), who: { reference: context.device }, requestor: false },
      { type: concept(DCM, '110152'), who: { reference: event.recipient }, requestor: false },
      ...user(context),
    ],
    entity: [
      ...patientEntity(event.patient),
      dataEntity(event.study, '3'),
      peerEntity(facts),
      requestEntity(context),
    ],
  };
}

/** The log goes on although entries are gone that were anchored: on the word of the hospital. */
export function restoreAudit(
  context: AuditContext,
  facts: { readonly reason: string; readonly signers: readonly string[]; readonly gone: string },
): JsonObject {
  const { reason, signers, gone } = facts;
  const detail = [
    { type: 'reason', valueString: reason },
    { type: 'entries-given-up', valueString: gone },
    ...signers.map((valueString) => ({ type: 'signer', valueString })),
  ];
  return {
    ...frame(context, { system: DCM, code: '110113', display: 'Security Alert' }, 'E', '4'),
    subtype: [{ system: 'urn:cloister:audit-event', code: 'log-restored' }],
    agent: agents(context, 'destination'),
    entity: [otherEntity('restore order', detail), requestEntity(context)],
  };
}

/** All keys of the records are wrapped by this version of the tenant key, and by none before it. */
export function rewrapAudit(context: AuditContext, version: number): JsonObject {
  const detail = [{ type: 'version', valueString: String(version) }];
  return {
    ...frame(context, { system: DCM, code: '110100', display: 'Application Activity' }, 'E', '0'),
    subtype: [{ system: 'urn:cloister:audit-event', code: 'tenant-key-replaced' }],
    agent: agents(context, 'destination'),
    entity: [otherEntity('tenant key', detail), requestEntity(context)],
  };
}

function frame(
  context: AuditContext,
  type: { readonly system: string; readonly code: string; readonly display?: string },
  action: string,
  outcome: AuditOutcome,
): JsonObject {
  return {
    resourceType: 'AuditEvent',
    type: { ...type },
    action,
    recorded: context.at.toISOString(),
    outcome,
    source: {
      observer: { reference: context.device },
      type: [
        {
          system: 'http://terminology.hl7.org/CodeSystem/security-source-type',
          code: '4',
          display: 'Application Server',
        },
      ],
    },
  };
}

/** Server, client and user; where the client sits is unknown: the channel hides it (design 5). */
function agents(context: AuditContext, server: 'source' | 'destination'): JsonObject[] {
  const [own, other] = server === 'source' ? ['110153', '110152'] : ['110152', '110153'];
  return [
    {
      type: concept(DCM, own),
      who: { reference: context.device },
      requestor: false,
      network: { address: 'records', type: '1' },
    },
    ...(context.user === undefined
      ? []
      : [{ type: concept(DCM, other), who: { display: 'portal' }, requestor: false }]),
    ...user(context),
  ];
}

function user({ user: reference }: AuditContext): JsonObject[] {
  if (reference === undefined) return [];
  return [{ type: concept(PARTICIPATION, 'IRCP'), who: { reference }, requestor: true }];
}

const concept = (system: string, code: string): JsonObject => ({ coding: [{ system, code }] });

function patientEntity(reference: string | undefined): JsonObject[] {
  if (reference === undefined) return [];
  return [
    {
      what: { reference },
      type: { system: ENTITY_TYPE, code: '1', display: 'Person' },
      role: { system: OBJECT_ROLE, code: '1', display: 'Patient' },
    },
  ];
}

const dataEntity = (reference: string, role: string): JsonObject => ({
  what: { reference },
  type: { system: ENTITY_TYPE, code: '2', display: 'System Object' },
  role: { system: OBJECT_ROLE, code: role },
});

const otherEntity = (name: string, detail: JsonObject[]): JsonObject => ({
  type: { system: ENTITY_TYPE, code: '4', display: 'Other' },
  name,
  detail,
});

const requestEntity = ({ requestId }: AuditContext): JsonObject => ({
  what: { identifier: { value: requestId } },
  type: { system: `${BALP}/CodeSystem/BasicAuditEntityType`, code: 'XrequestId' },
});

function peerEntity(facts: PeerFacts): JsonObject {
  const detail = Object.entries({
    'evidence-sha256': facts.evidenceDigest,
    'peer-measurement': facts.measurement,
    'model-digest': facts.modelDigest,
    manifest: facts.manifest,
    simulated: facts.simulated === undefined ? undefined : String(facts.simulated),
    code: facts.code,
  }).flatMap(([type, valueString]) => (valueString === undefined ? [] : [{ type, valueString }]));
  return {
    type: { system: ENTITY_TYPE, code: '4', display: 'Other' },
    name: 'peer attestation evidence',
    detail,
  };
}
