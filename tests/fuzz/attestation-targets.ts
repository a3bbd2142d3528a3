import {
  encodeEnvelope,
  parseBundle,
  parseEnvelope,
  parseHclReport,
  parseHclRuntimeClaims,
  parseManifestFile,
  parsePckExtension,
  parseRuntimeData,
  parseTpmAttest,
  platformRootDigest,
  unwrapOpenEnclaveReport,
  verifySimulatedQuote,
  verifyToken,
} from '@cloister/attestation';
import { canonicalJson, decodeUtf8, encodeUtf8, MalformedError, parseJson } from '@cloister/bytes';
import { inspectEvidence } from '../../apps/cli/src/inspect/inspect-evidence.ts';
import { readEvidence } from '../../apps/cli/src/inspect/evidence-file.ts';
import { CommandError } from '../../apps/cli/src/command-error.ts';
import { parseEnclaveReport } from '../../packages/attestation/src/intel/enclave-report.ts';
import { Refusal } from '../../packages/attestation/src/intel/progress.ts';
import { parseQeIdentity } from '../../packages/attestation/src/intel/qe-identity.ts';
import { parseQuote } from '../../packages/attestation/src/intel/quote.ts';
import { parseTcbInfo } from '../../packages/attestation/src/intel/tcb-info.ts';
import { parsePolicy } from '../../packages/attestation/src/policy/parse-policy.ts';
import { PolicyParsingError } from '../../packages/attestation/src/policy/parsing-error.ts';
import { parseSnpReport } from '../../packages/attestation/src/snp/report.ts';
import { parseVek } from '../../packages/attestation/src/snp/vek.ts';
import { parseTdReport } from '../../packages/attestation/src/tdx/td-report.ts';
import {
  genuinePckExtensions,
  hexInVectors,
  ownEvidence,
  signedMembers,
  vectorFiles,
} from './seeds.ts';
import type { Target } from './target.ts';

const TD_BODIES = new Map([
  [584, 2],
  [648, 3],
  [885, 4],
] as const);
const JSON_WORDS = ['{', '}', '[', ']', ',', ':', '"', '\\u0000', 'null', '1e999', '-0', '""'];

const text = (bytes: Uint8Array): string => decodeUtf8(bytes);

/** What reads evidence, and what comes with it. */
export const ATTESTATION_TARGETS: readonly Target[] = [
  {
    name: 'quote',
    seeds: async () => [
      (await ownEvidence()).quote,
      ...vectorFiles('{sgx,tdx}/{quotes,parse-only}/*.bin', 10, 16_384),
      ...vectorFiles('synthetic/quotes/*.bin', 10, 16_384),
    ],
    run: (input) => {
      const quote = parseQuote(input);
      const { signed, body, trailingBytes } = quote;
      if (signed.length + trailingBytes > input.length) throw new RangeError('more than there is');
      if (quote.tee === 'sgx') parseEnclaveReport(body);
    },
  },
  {
    name: 'td-report',
    seeds: () =>
      vectorFiles('tdx/quotes/*.bin', 6).flatMap((quote) => [
        quote.subarray(48, 632),
        quote.subarray(54, 702),
        quote.subarray(54, 939),
      ]),
    maxLength: 1024,
    run: (input) => {
      for (const [size, type] of TD_BODIES) if (input.length === size) parseTdReport(input, type);
      if (input.length > 900) parseTdReport(input, 4);
    },
  },
  {
    name: 'tcb-info',
    seeds: async () => [
      (await ownEvidence()).tcbInfo,
      ...signedMembers('{sgx,tdx,synthetic}/collateral/tcbinfo-*.json', 'tcbInfo').slice(0, 8),
    ],
    words: [...JSON_WORDS, 'tdxModule', 'tcbLevels', 'UpToDate', 'Revoked', '2024-02-30T00:00:00Z'],
    run: (input) => parseTcbInfo(text(input)),
  },
  {
    name: 'qe-identity',
    seeds: async () => [
      (await ownEvidence()).qeIdentity,
      ...signedMembers('{sgx,tdx}/collateral/*qe-*.json', 'enclaveIdentity').slice(0, 6),
    ],
    words: [...JSON_WORDS, 'tcbLevels', 'isvsvn', 'OutOfDate'],
    run: (input) => parseQeIdentity(text(input)),
  },
  {
    name: 'pck-extension',
    seeds: async () => [(await ownEvidence()).pckExtension, ...genuinePckExtensions()],
    maxLength: 4096,
    run: parsePckExtension,
  },
  {
    name: 'snp-report',
    seeds: () => vectorFiles('snp/reports/*.bin', 10),
    maxLength: 2048,
    run: parseSnpReport,
  },
  {
    name: 'vek-certificate',
    seeds: () => vectorFiles('snp/certs/*.der', 10),
    maxLength: 8192,
    run: parseVek,
    documented: (error) => error instanceof MalformedError || error instanceof Refusal,
  },
  {
    name: 'hcl-report',
    seeds: () => vectorFiles('azure-hcl/*.bin', 10),
    words: [...JSON_WORDS, 'HCLAkPub', 'vm-configuration', 'user-data'],
    maxLength: 8192,
    run: (input) => parseHclRuntimeClaims(parseHclReport(input).runtimeClaims),
  },
  {
    name: 'tpm-quote',
    seeds: () => hexInVectors('azure-hcl/snp-coco-evidence-v1-ca2703.evidence.json', 'message'),
    maxLength: 2048,
    run: parseTpmAttest,
  },
  {
    name: 'open-enclave-report',
    seeds: () => vectorFiles('maa/{sdk,oe}/*.report.bin', 4),
    maxLength: 8192,
    run: unwrapOpenEnclaveReport,
  },
  {
    name: 'envelope',
    seeds: async () => [(await ownEvidence()).envelope],
    words: [...JSON_WORDS, '"noncePath":{"index":0,"size":1,"path":[]}', 'sgx-quote'],
    run: (input) => {
      const envelope = parseEnvelope(parseJson(text(input)));
      // What was read can be written, and then says the same.
      const again = parseEnvelope(encodeEnvelope(envelope));
      if (JSON.stringify(encodeEnvelope(again)) !== JSON.stringify(encodeEnvelope(envelope))) {
        throw new RangeError('another envelope');
      }
    },
  },
  {
    name: 'runtime-data',
    seeds: async () => [(await ownEvidence()).runtimeData],
    words: JSON_WORDS,
    run: (input) => {
      parseRuntimeData(input);
      // One text only: else two readers could see two things under one digest.
      if (canonicalJson(parseJson(text(input))) !== text(input))
        throw new RangeError('not canonical');
    },
  },
  {
    name: 'manifest',
    seeds: async () => [(await ownEvidence()).manifestFile],
    words: [...JSON_WORDS, '__proto__', 'constructor', 'hardware', 'anyOf'],
    run: (input) => parseManifestFile(text(input)),
  },
  {
    name: 'collateral-bundle',
    seeds: async () => [(await ownEvidence()).bundle],
    words: JSON_WORDS,
    run: (input) => parseBundle(text(input)),
  },
  {
    name: 'token',
    seeds: async () => [
      encodeUtf8((await ownEvidence()).token),
      ...vectorFiles('maa/tokens/*.jwt', 6),
    ],
    words: ['.', 'eyJhbGciOiJub25lIn0', 'eyJhbGciOiJIUzI1NiJ9'],
    run: async (input) => {
      const { issuer, token, at } = await ownEvidence();
      const result = await verifyToken(text(input), { issuers: [issuer], at });
      // A signature has one text, and a token one signature: no other text may count.
      if (result.ok && text(input) !== token) throw new RangeError('accepted another token');
    },
  },
  {
    name: 'verify-quote',
    seeds: async () => [(await ownEvidence()).quote],
    maxLength: 8192,
    run: async (input) => {
      const { platform, quote, at } = await ownEvidence();
      const result = await verifySimulatedQuote(input, {
        collateral: platform.collateral,
        at,
        rootDigests: [await platformRootDigest(platform)],
      });
      if (!result.ok) return;
      // What is signed is the same; only bytes that nobody signs may differ.
      const signed = Buffer.from(input.subarray(0, 432));
      if (!signed.equals(quote.subarray(0, 432))) throw new RangeError('accepted another quote');
    },
  },
  {
    name: 'evidence-file',
    seeds: async () => [
      (await ownEvidence()).envelope,
      ...vectorFiles('azure-hcl/*.evidence.json', 3),
      ...vectorFiles('{sgx,tdx}/quotes/*.bin', 4, 16_384),
      ...vectorFiles('snp/reports/*.bin', 3),
      ...vectorFiles('maa/sgx-intel/*.json', 2),
    ],
    words: [...JSON_WORDS, 'hcl_report', 'quote', 'evidence', 'HCLA'],
    run: (input) => inspectEvidence(readEvidence(input)),
    documented: (error) => error instanceof MalformedError || error instanceof CommandError,
  },
  {
    name: 'azure-policy',
    seeds: () => vectorFiles('maa/policies/*.txt', 14, 8192),
    words: [
      '=>',
      'issue(',
      'permit();',
      'c:[',
      ']',
      '&&',
      'version=1.2;',
      '"',
      '//',
      '/*',
      '!',
      '((',
    ],
    maxLength: 8192,
    run: (input) => parsePolicy(text(input)),
    documented: (error) => error instanceof MalformedError || error instanceof PolicyParsingError,
  },
];
