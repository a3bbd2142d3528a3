import { Reader, type Bytes } from '@cloister/bytes';

/** A report of an enclave on another machine: an SGX quote. The other type (1) is local only. */
const REMOTE_SGX = 2;

/**
 * The SGX quote in an Open Enclave report: a header of 16 bytes (version, type, size), then the
 * quote (spec/azure-attestation.md, OpenEnclave). MalformedError where the size is not exact.
 */
export function unwrapOpenEnclaveReport(report: Uint8Array): Bytes {
  const r = new Reader(report, 'Open Enclave report');
  if (r.u32le() !== 1) r.fail('bad_value');
  if (r.u32le() !== REMOTE_SGX) r.fail('bad_value');
  const size = r.u64le();
  if (size > BigInt(r.remaining)) r.fail('truncated');
  if (size < BigInt(r.remaining)) r.fail('trailing_bytes');
  return r.rest();
}
