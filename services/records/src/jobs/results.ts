import { encodeBase64, encodeUtf8, type JsonObject } from '@cloister/bytes';
import type { VerifiedPeer } from '@cloister/attestation';
import type { ModelContract } from '@cloister/clinical';
import type { ModelAnswer } from './model-answer.ts';
import { type AgreedModel, measurementOf } from './provider.ts';

/** What the resources of a result are made of. */
export interface ResultSource {
  readonly model: AgreedModel;
  readonly contract: ModelContract;
  readonly peer: VerifiedPeer;
  readonly answer: ModelAnswer;
  readonly patient: string;
  readonly study: string;
  readonly at: Date;
  /** `Device/<id>` of the model. */
  readonly device: string;
  readonly ids: {
    readonly observation: string;
    readonly report: string;
    readonly provenance: string;
  };
}

const OUTPUT_SYSTEM = 'urn:cloister:model-output';
/** The system of the identifiers of Devices that stand for models. */
export const MODEL_SYSTEM = 'urn:cloister:model';

/** What identifies a model as it ran: its file and the code that ran it. */
export function modelIdentifier(model: AgreedModel, peer: VerifiedPeer): string {
  return `${model.name}/${model.version}/${model.digest}/${measurementOf(peer)}`;
}

const property = (text: string, value: string): JsonObject => ({
  type: { text },
  valueCode: [{ text: value }],
});
const textPart = (url: string, valueString: string): JsonObject => ({ url, valueString });

/** The model as a Device (spec clinical.md 2.6). */
export function modelDevice(
  id: string,
  model: AgreedModel,
  contract: ModelContract,
  peer: VerifiedPeer,
): JsonObject {
  return {
    resourceType: 'Device',
    id,
    identifier: [{ system: MODEL_SYSTEM, value: modelIdentifier(model, peer) }],
    status: 'active',
    manufacturer: 'diagnostics',
    modelNumber: `${model.name}/${model.version}`,
    deviceName: [{ name: contract.title.en, type: 'model-name' }],
    type: {
      coding: [
        {
          system: 'http://snomed.info/sct',
          code: '706689003',
          display: 'Application program software',
        },
      ],
      text: 'AI diagnostic software',
    },
    version: [{ value: model.version }],
    property: [
      property('model', model.name),
      property('model-digest-sha256', model.digest),
      property('contract-digest-sha256', model.contract),
      property('enclave-measurement', measurementOf(peer)),
      property('simulated', String(peer.simulated)),
    ],
    note: [{ text: contract.intendedUse.en }],
  };
}

/** What the model found, as a preliminary Observation: never a diagnosis, never final. */
export function findingObservation(source: ResultSource): JsonObject {
  const { contract, answer, patient, study, at, device, ids } = source;
  const { code } = contract.finding;
  const finding: JsonObject = answer.above
    ? {
        valueCodeableConcept: { coding: [{ ...code }], text: code.display },
        interpretation: [
          {
            coding: [
              {
                system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation',
                code: 'POS',
                display: 'Positive',
              },
            ],
          },
        ],
      }
    : { note: [{ text: NO_FINDING }] };
  return {
    resourceType: 'Observation',
    id: ids.observation,
    status: 'preliminary',
    category: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/observation-category',
            code: 'imaging',
            display: 'Imaging',
          },
        ],
      },
    ],
    code: {
      coding: [
        { system: 'http://loinc.org', code: '59776-5', display: 'Procedure findings Narrative' },
      ],
    },
    subject: { reference: `Patient/${patient}` },
    effectiveDateTime: at.toISOString(),
    issued: at.toISOString(),
    ...finding,
    device: { reference: device },
    derivedFrom: [{ reference: `ImagingStudy/${study}` }],
    component: [
      component('score', 'score', answer.score),
      component('threshold', 'operating threshold', contract.finding.threshold),
    ],
  };
}

const NO_FINDING = 'No finding above threshold. This does not say that the image is normal.';

const component = (code: string, text: string, value: number): JsonObject => ({
  code: { coding: [{ system: OUTPUT_SYSTEM, code }], text },
  valueQuantity: { value, unit: '1', system: 'http://unitsofmeasure.org', code: '1' },
});

/** The report on it, preliminary until a person signs (spec clinical.md 11.1). */
export function preliminaryReport(source: ResultSource): JsonObject {
  const { contract, answer, patient, study, at, ids } = source;
  const { code, threshold } = contract.finding;
  const score = `score ${answer.score.toFixed(2)}, operating threshold ${threshold.toFixed(2)}`;
  const words = answer.above
    ? `possible ${code.display.toLowerCase()} (${score}).`
    : `${NO_FINDING.charAt(0).toLowerCase()}${NO_FINDING.slice(1)} (${score})`;
  return {
    resourceType: 'DiagnosticReport',
    id: ids.report,
    status: 'preliminary',
    category: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/v2-0074',
            code: 'RAD',
            display: 'Radiology',
          },
        ],
      },
    ],
    code: {
      coding: [
        { system: 'http://loinc.org', code: '18748-4', display: 'Diagnostic imaging study' },
      ],
    },
    subject: { reference: `Patient/${patient}` },
    effectiveDateTime: at.toISOString(),
    issued: at.toISOString(),
    result: [{ reference: `Observation/${ids.observation}` }],
    imagingStudy: [{ reference: `ImagingStudy/${study}` }],
    conclusion: `AI-generated, not reviewed: ${words}`,
    ...(answer.above ? { conclusionCode: [{ coding: [{ ...code }] }] } : {}),
  };
}

/** How the result came to be: the receipt, and what it was verified against (design 3.5). */
export function resultProvenance(source: ResultSource): JsonObject {
  const { model, contract, peer, answer, study, at, device, ids } = source;
  const { facts } = answer;
  return {
    resourceType: 'Provenance',
    id: ids.provenance,
    extension: [
      {
        url: 'urn:cloister:evidence',
        extension: [
          textPart('model', model.name),
          textPart('modelVersion', model.version),
          textPart('modelDigest', model.digest),
          textPart('contractDigest', model.contract),
          textPart('inputDigest', facts.inputDigest),
          textPart('outputDigest', facts.outputDigest),
          textPart('requestId', facts.requestId),
          textPart('manifest', facts.manifest),
          textPart('evidenceDigest', facts.evidenceDigest),
          textPart('measurement', measurementOf(peer)),
          textPart('tee', peer.tee),
          { url: 'simulated', valueBoolean: peer.simulated },
        ],
      },
      // For auditors: classes that the contract does not let stand as findings.
      {
        url: 'urn:cloister:model-probabilities',
        extension: Object.entries(answer.probabilities).map(([url, valueDecimal]) => ({
          url,
          valueDecimal,
        })),
      },
    ],
    target: [
      { reference: `DiagnosticReport/${ids.report}/_history/1` },
      { reference: `Observation/${ids.observation}/_history/1` },
    ],
    occurredDateTime: at.toISOString(),
    recorded: at.toISOString(),
    activity: {
      coding: [
        {
          system: 'http://terminology.hl7.org/CodeSystem/v3-DataOperation',
          code: 'CREATE',
          display: 'create',
        },
      ],
    },
    agent: [
      {
        type: {
          coding: [
            {
              system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type',
              code: 'assembler',
              display: 'Assembler',
            },
          ],
        },
        who: { reference: device },
        onBehalfOf: { display: contract.title.en },
      },
    ],
    entity: [
      { role: 'source', what: { reference: `ImagingStudy/${study}` } },
      {
        role: 'source',
        what: {
          identifier: { system: 'urn:cloister:evidence', value: `sha256:${peer.evidenceDigest}` },
          display: 'attestation evidence',
        },
      },
    ],
    signature: [
      {
        type: [
          {
            system: 'urn:iso-astm:E1762-95:2013',
            code: '1.2.840.10065.1.12.1.14',
            display: 'Source Signature',
          },
        ],
        when: new Date(facts.iat * 1000).toISOString(),
        who: { reference: device },
        sigFormat: 'application/jose',
        data: encodeBase64(encodeUtf8(answer.receipt)),
      },
    ],
  };
}

/** Tells those concerned, without a word about the patient. */
export function notice(of: {
  readonly id: string;
  readonly patient: string;
  readonly about: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly text: string;
  readonly at: Date;
}): JsonObject {
  return {
    resourceType: 'Communication',
    id: of.id,
    status: 'completed',
    category: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/communication-category',
            code: 'notification',
            display: 'Notification',
          },
        ],
      },
    ],
    subject: { reference: `Patient/${of.patient}` },
    about: [{ reference: of.about }],
    sent: of.at.toISOString(),
    ...(of.recipients.length === 0
      ? {}
      : { recipient: of.recipients.map((reference) => ({ reference })) }),
    sender: { reference: of.sender },
    payload: [{ contentString: of.text }],
  };
}
