import { decodeHex, MalformedError, parseJsonObject, type Bytes } from '@cloister/bytes';
import { JsonFields } from '../intel/json-fields.ts';

/** One set of TCB documents, by its number (spec/evidence.md 3.4). */
export interface EvaluationNumber {
  readonly tcbEvaluationDataNumber: number;
  readonly tcbRecoveryEventDate: Date;
  readonly tcbDate: Date;
}

/** Which sets of TCB documents there are; to look ahead with, no quote is judged by it. */
export interface EvaluationNumbers {
  readonly tee: 'sgx' | 'tdx';
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly numbers: readonly EvaluationNumber[];
}

const NAME = 'TCB evaluation data numbers';
const MEMBER = 'tcbEvaluationDataNumbers';

/** The signature of the envelope, and the member whose text it covers. */
export function splitEvaluationNumbers(text: string): {
  readonly signature: Bytes;
  readonly member: string;
} {
  const { signature } = parseJsonObject(text, NAME);
  const bytes = typeof signature === 'string' ? decodeHex(signature, `${NAME}: signature`) : null;
  if (bytes?.length !== 64) throw new MalformedError('bad_value', `${NAME}: signature`);
  return { signature: bytes, member: MEMBER };
}

/** Reads the envelope; its signature is not judged here. */
export function parseEvaluationNumbers(text: string): EvaluationNumbers {
  const fields = new JsonFields(parseJsonObject(text, NAME)[MEMBER], NAME);
  if (fields.integer('version', 0xffff) !== 1) fields.fail('version');
  return {
    tee: fields.oneOf('id', ['SGX', 'TDX']) === 'SGX' ? 'sgx' : 'tdx',
    issueDate: fields.instant('issueDate'),
    nextUpdate: fields.instant('nextUpdate'),
    numbers: fields.objects('tcbEvalNumbers').map((one) => ({
      tcbEvaluationDataNumber: one.integer('tcbEvaluationDataNumber', 0xffff_ffff),
      tcbRecoveryEventDate: one.instant('tcbRecoveryEventDate'),
      tcbDate: one.instant('tcbDate'),
    })),
  };
}
