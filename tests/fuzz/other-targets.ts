import { readFileSync } from 'node:fs';
import {
  decodeUtf8,
  encodeUtf8,
  MalformedError,
  parseJson,
  canonicalJson,
  DerReader,
} from '@cloister/bytes';
import {
  createChannelKeys,
  createGateway,
  decodeMessage,
  encodeKeyConfigs,
  encodeMessage,
  parseKeyConfigs,
} from '@cloister/channel';
import {
  decodePixels,
  ImagingError,
  isImageKind,
  parseDicom,
  parseModelContract,
} from '@cloister/clinical';
import { parseCertificate, parseCertificateChain, parseCrl, parseJws } from '@cloister/crypto';
import { sealRequest, setupRequest } from '../../packages/channel/src/ohttp/request-encryption.ts';
import { hexInVectors, ownEvidence, vectorFiles } from './seeds.ts';
import type { Target } from './target.ts';

const CONTRACT = new URL('../../models/cxr-pneumonia-cam/contract.json', import.meta.url);
const AT = new Date('2026-03-01T12:00:00Z');
const JSON_WORDS = ['{', '}', '[', ']', ',', ':', '"', '\\u0000', '\\ud800', 'null', '1e999', '-0'];
const OHTTP = { 'content-type': 'message/ohttp-req' };
/** What a gateway answers outside. */
const GATEWAY_STATUSES = [200, 400, 413];

const text = (bytes: Uint8Array): string => decodeUtf8(bytes);
const keys = createChannelKeys({ kem: 'x25519', keyId: 1 });

/** Certificates, signatures, messages, images: what else comes from strangers. */
export const OTHER_TARGETS: readonly Target[] = [
  {
    name: 'der',
    seeds: () => vectorFiles('roots/*.der', 4),
    maxLength: 8192,
    run: (input) => {
      walk(new DerReader(input, 'DER'));
    },
  },
  {
    name: 'certificate',
    seeds: async () => [
      ...Object.values((await ownEvidence()).platform.certificates),
      ...vectorFiles('{roots,snp/certs,maa/certs}/*.der', 16),
    ],
    maxLength: 16_384,
    run: (input) => parseCertificate(input),
  },
  {
    name: 'certificate-chain',
    seeds: async () => [(await ownEvidence()).pckChain, ...vectorFiles('sgx/collateral/*.pem', 2)],
    words: ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '\0', '=', '\r\n'],
    run: (input) => parseCertificateChain(text(input)),
  },
  {
    name: 'crl',
    seeds: async () => [
      (await ownEvidence()).platform.collateral.pckCrl,
      ...vectorFiles('{sgx,synthetic}/collateral/crl-*.der', 8, 8192),
    ],
    maxLength: 16_384,
    run: (input) => parseCrl(input),
  },
  {
    name: 'jws',
    seeds: async () => [
      encodeUtf8((await ownEvidence()).token),
      ...vectorFiles('maa/tokens/*.jwt', 4),
    ],
    words: ['.', '..', 'eyJhbGciOiJub25lIn0', '='],
    run: (input) => parseJws(text(input)),
  },
  {
    name: 'json',
    seeds: async () => [(await ownEvidence()).manifestFile],
    words: JSON_WORDS,
    run: (input) => {
      const value = parseJson(text(input));
      const canonical = canonicalJson(value);
      if (canonicalJson(parseJson(canonical)) !== canonical) throw new RangeError('not stable');
    },
  },
  {
    name: 'binary-http',
    seeds: () => hexInVectors('protocol/bhttp-rfc9292.json', 'hex').slice(0, 24),
    maxLength: 16_384,
    run: (input) => {
      const { message } = decodeMessage([input]);
      // What was read can be written, and then says the same.
      const again = decodeMessage([encodeMessage(message)]).message;
      if (JSON.stringify(again) !== JSON.stringify(message))
        throw new RangeError('another message');
    },
  },
  {
    name: 'ohttp-keys',
    seeds: async () => [encodeKeyConfigs(await keys)],
    maxLength: 4096,
    run: parseKeyConfigs,
  },
  {
    name: 'ohttp-request',
    seeds: async () => [await encapsulated('GET'), await encapsulated('POST')],
    maxLength: 4096,
    run: async (input) => {
      const channelKeys = await keys;
      const gateway = createGateway({
        keys: () => [channelKeys],
        now: () => AT,
        fetch: () => new Response('here'),
      });
      const request = { method: 'POST', headers: OHTTP, body: input };
      const { status } = await gateway.handle(new Request('https://gateway.invalid/', request));
      if (!GATEWAY_STATUSES.includes(status)) throw new RangeError(`status ${status}`);
    },
  },
  {
    name: 'inner-request',
    seeds: () => [binaryRequest('GET'), binaryRequest('POST')],
    maxLength: 4096,
    run: async (input) => {
      const channelKeys = await keys;
      const gateway = createGateway({
        keys: () => [channelKeys],
        now: () => AT,
        fetch: async (request) => new Response(await request.arrayBuffer()),
      });
      const body = await seal(input);
      const request = { method: 'POST', headers: OHTTP, body };
      const { status } = await gateway.handle(new Request('https://gateway.invalid/', request));
      if (status !== 200) throw new RangeError(`status ${status}`);
    },
  },
  {
    name: 'dicom',
    seeds: () => [
      ...vectorFiles('dicom/{valid,malformed}/*.dcm', 16, 65_536),
      ...vectorFiles('dicom/ai-results/*.dcm', 3, 65_536),
    ],
    words: ['DICM', 'SQ', 'OB', 'OW', 'UN', '1.2.840.10008.1.2.1', '\\'],
    // A deflated data set may grow to 256 MiB, which takes its time.
    limitMs: 2500,
    run: (input) => parseDicom(input),
    documented: (error) => error instanceof MalformedError || error instanceof ImagingError,
  },
  {
    name: 'pixels',
    seeds: () => vectorFiles('dicom/valid/*.dcm', 16, 40_000),
    words: ['DICM', 'OB', 'OW'],
    limitMs: 2500,
    run: (input) => decodePixels(parseDicom(input)),
    documented: (error) => error instanceof MalformedError || error instanceof ImagingError,
  },
  {
    name: 'image-kind',
    seeds: () => vectorFiles('imaging/*.{png,jpg,jpeg}', 4),
    run: isImageKind,
  },
  {
    name: 'model-contract',
    seeds: () => [readFileSync(CONTRACT)],
    words: [...JSON_WORDS, 'preprocessing', 'input', 'output'],
    run: (input) => parseModelContract(text(input)),
  },
];

/** Goes into everything that is constructed. */
function walk(reader: DerReader): void {
  while (!reader.done) {
    const tag = reader.peek() ?? 0;
    const element = reader.expect(tag);
    if ((tag & 0x20) !== 0) walk(reader.inside(element));
  }
}

function binaryRequest(method: string): Uint8Array<ArrayBuffer> {
  return encodeMessage({
    kind: 'request',
    method,
    scheme: 'https',
    authority: 'records',
    path: '/fhir/Patient?name=x',
    headers: [
      ['date', AT.toUTCString()],
      ['content-type', 'application/fhir+json'],
    ],
    content: method === 'GET' ? new Uint8Array() : encodeUtf8('{"resourceType":"Patient"}'),
    trailers: [],
  });
}

function encapsulated(method: string): Promise<Uint8Array<ArrayBuffer>> {
  return seal(binaryRequest(method));
}

/** As a client seals it, whatever stands in it. */
async function seal(message: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const { config, suites } = await keys;
  const [aead] = config.aeads;
  const hpke = aead === undefined ? undefined : suites.get(aead);
  if (hpke === undefined) throw new MalformedError('bad_value', 'channel keys');
  const publicKey = await hpke.kem.deserializePublicKey(config.publicKey);
  const key = { keyId: config.keyId, hpke, publicKey, config: config.bytes };
  const parts = await sealRequest(await setupRequest(key, 'whole'), [message]);
  return new Uint8Array(Buffer.concat(parts));
}
