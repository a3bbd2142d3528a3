import {
  canonicalJson,
  decodeHex,
  decodeUtf8,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  MalformedError,
  parseJson,
  type Bytes,
} from '@cloister/bytes';
import { bytesOf } from '../evidence/envelope.ts';
import { Shape } from '../shape.ts';
import type { TpmQuote } from './tpm-quote.ts';

/** All that a confidential VM of Azure signed: the `evidence` of an envelope of format `azure-hcl`. */
export interface AzureEvidence {
  /** NV index 0x01400001, with the SNP report or TDREPORT of the machine in it. */
  readonly hclReport: Bytes;
  /** By the attestation key of the vTPM, over the digest of the runtime data. */
  readonly tpmQuote: TpmQuote;
  /** On TDX: the TD quote over the same report data as the TDREPORT's. */
  readonly tdQuote?: Bytes;
}

const NAME = 'Azure evidence';
const MAX_SIZE = 64 * 1024;
const MAX_REPORT = 16 * 1024;
const MAX_TD_QUOTE = 32 * 1024;
const PCR_COUNT = 24;

/**
 * Reads the evidence of a confidential VM: canonical JSON with the members of Trustee's evidence of
 * `az-snp-vtpm` and `az-tdx-vtpm`, version 1, less the VCEK, which is an endorsement. One document
 * has one form, for its digest stands in receipts. MalformedError for all else.
 */
export function parseAzureEvidence(bytes: Uint8Array): AzureEvidence {
  if (bytes.length > MAX_SIZE) throw new MalformedError('too_large', NAME);
  const text = decodeUtf8(bytes, NAME);
  const json = parseJson(text, NAME, { maxDepth: 4, maxLength: MAX_SIZE });
  if (canonicalJson(json) !== text) throw new MalformedError('bad_value', `${NAME}: form`);
  const members = new Shape(json, NAME).members(
    ['version', 'hcl_report', 'tpm_quote'],
    ['td_quote'],
  );
  members.get('version').integer(1, 1);
  const tdQuote = members.maybe('td_quote');
  return {
    hclReport: bytesOf(members.get('hcl_report'), MAX_REPORT),
    tpmQuote: parseTpmQuote(members.get('tpm_quote')),
    ...(tdQuote === undefined ? {} : { tdQuote: bytesOf(tdQuote, MAX_TD_QUOTE) }),
  };
}

/** The bytes that `parseAzureEvidence` reads: what an attester of such a VM gives as evidence. */
export function encodeAzureEvidence({ hclReport, tpmQuote, tdQuote }: AzureEvidence): Bytes {
  const { message, signature, pcrs } = tpmQuote;
  return encodeUtf8(
    canonicalJson({
      version: 1,
      hcl_report: encodeBase64url(hclReport),
      tpm_quote: {
        message: encodeHex(message),
        signature: encodeHex(signature),
        pcrs: pcrs.map((pcr) => encodeHex(pcr)),
      },
      ...(tdQuote === undefined ? {} : { td_quote: encodeBase64url(tdQuote) }),
    }),
  );
}

function parseTpmQuote(shape: Shape): TpmQuote {
  const members = shape.members(['message', 'signature', 'pcrs']);
  const hex = (name: string): Bytes =>
    decodeHex(members.get(name).string(/^(?:[0-9a-f]{2}){1,1024}$/u));
  return {
    message: hex('message'),
    signature: hex('signature'),
    pcrs: members
      .get('pcrs')
      .items({ min: 1, max: PCR_COUNT })
      .map((pcr) => decodeHex(pcr.hex(32))),
  };
}
