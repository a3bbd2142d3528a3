import { parseJson, type Bytes } from '@cloister/bytes';
import type { EnclaveReport } from './enclave-report.ts';
import { JsonFields } from './json-fields.ts';
import { parseIsvLevels, type IsvTcbLevel } from './tcb-info.ts';

/** What the Quoting Enclave must be: an enclave identity, version 2 (spec/evidence.md 3.2). */
export interface QeIdentity {
  readonly id: string;
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly tcbEvaluationDataNumber: number;
  readonly miscSelect: Bytes;
  readonly miscSelectMask: Bytes;
  readonly attributes: Bytes;
  readonly attributesMask: Bytes;
  readonly mrsigner: Bytes;
  readonly isvProdId: number;
  /** The highest first. */
  readonly levels: readonly IsvTcbLevel[];
}

/** Reads the value that an enclave identity envelope signs; MalformedError where it is none. */
export function parseQeIdentity(text: string): QeIdentity {
  const fields = new JsonFields(parseJson(text, 'QE identity'), 'enclaveIdentity');
  if (fields.integer('version', 0xffff) !== 2) fields.fail('version');
  return {
    id: fields.string('id'),
    issueDate: fields.instant('issueDate'),
    nextUpdate: fields.instant('nextUpdate'),
    tcbEvaluationDataNumber: fields.integer('tcbEvaluationDataNumber', 0xffff_ffff),
    miscSelect: fields.hex('miscselect', 4),
    miscSelectMask: fields.hex('miscselectMask', 4),
    attributes: fields.hex('attributes', 16),
    attributesMask: fields.hex('attributesMask', 16),
    mrsigner: fields.hex('mrsigner', 32),
    isvProdId: fields.integer('isvprodid', 0xffff),
    levels: parseIsvLevels(fields, 'enclaveIdentity.tcbLevels'),
  };
}

/** The first member in which a QE report differs from the identity (5, steps 1 to 4), if any. */
export function findQeMismatch(report: EnclaveReport, identity: QeIdentity): string | undefined {
  if (!matchesUnderMask(report.miscSelect, identity.miscSelectMask, identity.miscSelect)) {
    return 'miscselect';
  }
  if (!matchesUnderMask(report.attributes, identity.attributesMask, identity.attributes)) {
    return 'attributes';
  }
  if (!matchesUnderMask(report.mrsigner, undefined, identity.mrsigner)) return 'mrsigner';
  return report.isvProdId === identity.isvProdId ? undefined : 'isvprodid';
}

/** Whether (value & mask) equals the expected bytes; bits outside the mask are free. */
export function matchesUnderMask(
  value: Uint8Array,
  mask: Uint8Array | undefined,
  expected: Uint8Array,
): boolean {
  return (
    value.length === expected.length &&
    value.every((byte, i) => (byte & (mask?.[i] ?? 0xff)) === expected[i])
  );
}
