import type { EvidenceEnvelope } from '@cloister/attestation';
import { parseCertificate } from '@cloister/crypto';
import { attemptSections, certificateSection } from './certificate-fields.ts';
import { inspectEnvelope } from './envelope-fields.ts';
import { readAzureEvidence, type EvidenceFile } from './evidence-file.ts';
import { inspectHclReport, tpmQuoteSection } from './hcl-fields.ts';
import type { Inspection, Section } from './inspection.ts';
import { inspectQuote } from './quote-fields.ts';
import { inspectSnpReport } from './snp-fields.ts';

const OPEN_ENCLAVE_HEADER = 16;

/** Takes evidence apart, whatever it is; says nothing about whether it is genuine. */
export function inspectEvidence(file: EvidenceFile): Inspection {
  if (file.kind === 'envelope') {
    return inspectEnvelope(file.envelope, inspectInside(file.envelope));
  }
  const wrapping = wrapped(file.wrapping);
  if (file.kind === 'quote') {
    const inOpenEnclave = file.wrapping.at(-1) === 'Open Enclave report';
    return wrapping(inspectQuote(file.evidence, inOpenEnclave ? OPEN_ENCLAVE_HEADER : 0));
  }
  if (file.kind === 'snp-report') return wrapping(inspectSnpReport(file.evidence));
  return wrapping(inspectAzure(file));
}

function inspectAzure(file: Extract<EvidenceFile, { kind: 'hcl-report' }>): Inspection {
  const inspection = inspectHclReport(file.evidence);
  const problems = [...inspection.problems];
  const beside = companionSections(file, problems);
  return { ...inspection, sections: [...inspection.sections, ...beside], problems };
}

function inspectInside(envelope: EvidenceEnvelope): Inspection {
  const { format, evidence } = envelope;
  if (format === 'snp-report') return inspectSnpReport(evidence);
  if (format === 'azure-hcl') return inspectAzure(readAzureEvidence(envelope));
  const inspection = inspectQuote(evidence);
  return format === 'simulated-sgx-quote'
    ? { ...inspection, kind: `simulated ${inspection.kind}` }
    : inspection;
}

function companionSections(
  { beside }: Extract<EvidenceFile, { kind: 'hcl-report' }>,
  problems: string[],
): Section[] {
  const { vcek, tdQuote, tpmQuote } = beside;
  const quote = tdQuote === undefined ? undefined : inspectQuote(tdQuote);
  problems.push(...(quote?.problems ?? []));
  return [
    ...attemptSections(
      () => (vcek === undefined ? [] : [certificateSection(parseCertificate(vcek), 'VCEK')]),
      problems,
    ),
    ...(quote?.sections ?? []).map(({ title, fields }) => ({
      title: `TD quote: ${title}`,
      fields,
    })),
    ...(tpmQuote === undefined ? [] : [tpmQuoteSection(tpmQuote.message, tpmQuote.pcrs)]),
  ];
}

function wrapped(wrapping: readonly string[]): (inspection: Inspection) => Inspection {
  return (inspection) =>
    wrapping.length === 0
      ? inspection
      : { ...inspection, kind: `${inspection.kind} (in ${wrapping.join(', in ')})` };
}
