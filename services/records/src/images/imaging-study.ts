import type { JsonObject } from '@cloister/bytes';
import type { DicomFile } from '@cloister/clinical';

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';

/** An image as ImagingStudy with one series and one instance (spec clinical.md 2.6). */
export function imagingStudy(
  file: DicomFile,
  of: { readonly id: string; readonly patient: string; readonly at: Date },
): JsonObject {
  const modality = { system: DCM, code: file.modality || 'OT' };
  const started = startOf(file) ?? of.at.toISOString();
  const accession = file.accessionNumber?.trim();
  return {
    resourceType: 'ImagingStudy',
    id: of.id,
    identifier: [
      { system: 'urn:dicom:uid', value: `urn:oid:${file.studyInstanceUid}` },
      ...(accession ? [accessionOf(accession)] : []),
    ],
    status: 'available',
    modality: [modality],
    subject: { reference: `Patient/${of.patient}` },
    started,
    numberOfSeries: 1,
    numberOfInstances: 1,
    series: [
      {
        uid: file.seriesInstanceUid,
        modality,
        numberOfInstances: 1,
        ...bodySite(file.bodyPart),
        instance: [
          {
            uid: file.sopInstanceUid,
            sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${file.sopClassUid}` },
          },
        ],
      },
    ],
  };
}

const accessionOf = (value: string): JsonObject => ({
  type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'ACSN' }] },
  value,
});

function bodySite(bodyPart: string | undefined): JsonObject {
  const name = bodyPart?.trim().toUpperCase();
  if (!name) return {};
  const chest = {
    system: 'http://snomed.info/sct',
    code: '51185008',
    display: 'Thoracic structure',
  };
  return { bodySite: name === 'CHEST' ? chest : { display: name } };
}

/** DA and TM (PS3.5 6.2) as a FHIR dateTime; a time without a zone is taken as UTC. */
function startOf({ studyDate, studyTime }: DicomFile): string | undefined {
  const date = /^(\d{4})(\d\d)(\d\d)$/.exec(studyDate?.trim() ?? '');
  if (date === null) return undefined;
  const day = date.slice(1).join('-');
  const time = /^(\d\d)(\d\d)(\d\d)/.exec(studyTime?.trim() ?? '');
  const text = time === null ? day : `${day}T${time.slice(1).join(':')}Z`;
  return Number.isNaN(Date.parse(text)) ? undefined : text;
}
