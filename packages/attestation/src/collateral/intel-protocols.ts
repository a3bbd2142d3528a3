import type { CollateralProtocol, ServerAnswer } from './collateral-protocol.ts';
import type { PckCa } from './collateral-source.ts';
import { FetchProblem } from './collateral-failure.ts';
import { documentName, type CollateralDocument, type DocumentId } from './document.ts';
import { readIssuerChain } from './issuer-chain.ts';
import { readCrl } from './read-crl.ts';

/** Which set of TCB documents to ask for; the two exclude each other (spec/evidence.md 3.4). */
export type TcbSelection =
  | { readonly update: 'standard' | 'early' }
  | { readonly tcbEvaluationDataNumber: number };

/** Where a server that speaks Intel's API answers, and which documents of its to take. */
export interface IntelServer {
  /** Origin, and path before `/sgx/certification/v4`. */
  readonly baseUrl: string;
  /** The set that is being enforced (`standard`) unless told. */
  readonly select?: TcbSelection;
}

/** Intel's own service. */
const INTEL_PCS_URL = 'https://api.trustedservices.intel.com';
/** Azure's cache of Intel's collateral (THIM). */
const AZURE_THIM_URL = 'https://global.acccache.azure.net';

const CERTIFICATES_URL = 'https://certificates.trustedservices.intel.com';
const CHAIN_HEADERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['tcb-info', ['TCB-Info-Issuer-Chain', 'SGX-TCB-Info-Issuer-Chain']],
  ['qe-identity', ['SGX-Enclave-Identity-Issuer-Chain']],
  ['evaluation-numbers', ['TCB-Evaluation-Data-Numbers-Issuer-Chain']],
  ['pck-crl', ['SGX-PCK-CRL-Issuer-Chain']],
]);
const CRL_FILES: Readonly<Record<PckCa, string>> = {
  processor: 'IntelSGXPCKProcessor.crl',
  platform: 'IntelSGXPCKPlatform.crl',
};
/** Nothing but Intel's statements about processors: no platform of ours is named by them. */
const HEADERS = { accept: 'application/json, application/pkix-crl, */*' };

/**
 * Intel's Provisioning Certification Service, API version 4: no key is needed for these documents.
 * The root CA's CRL is served elsewhere; `rootCrlUrl` says where.
 */
export function createPcsProtocol(
  server: Partial<IntelServer> & { readonly rootCrlUrl?: string } = {},
): CollateralProtocol {
  const { baseUrl = INTEL_PCS_URL, select } = server;
  const { rootCrlUrl = `${CERTIFICATES_URL}/IntelSGXRootCA.der` } = server;
  return createIntelProtocol('intel-pcs', { baseUrl, ...(select ? { select } : {}) }, (id) =>
    id.kind === 'root-ca-crl'
      ? rootCrlUrl
      : `/sgx/certification/v4/pckcrl?ca=${id.ca}&encoding=der`,
  );
}

/** A PCCS, Intel's caching service: the same API, but the root CA's CRL is its own, in hex. */
export function createPccsProtocol(server: IntelServer): CollateralProtocol {
  return createIntelProtocol('pccs', server, (id) =>
    id.kind === 'root-ca-crl'
      ? '/sgx/certification/v4/rootcacrl'
      : `/sgx/certification/v4/pckcrl?ca=${id.ca}&encoding=der`,
  );
}

/**
 * Azure's Trusted Hardware Identity Management: Intel's API for the documents; CRLs by their
 * address at Intel's. It may serve TCB info that has expired (spec/deployment.md 2.3): the answer
 * then says `expired`, and the verifier refuses it unless told otherwise.
 */
export function createThimProtocol(server: Partial<IntelServer> = {}): CollateralProtocol {
  const { baseUrl = AZURE_THIM_URL, select } = server;
  return createIntelProtocol('azure-thim', { baseUrl, ...(select ? { select } : {}) }, (id) => {
    const file = id.kind === 'root-ca-crl' ? 'IntelSGXRootCA.der' : CRL_FILES[id.ca];
    // Encoded twice: that is how this service wants the address.
    const uri = encodeURIComponent(encodeURIComponent(`${CERTIFICATES_URL}/${file}`));
    const client = 'clientid=production_client&api-version=2020-02-12-preview';
    return `/sgx/certification/v4/pckcrl?uri=${uri}&${client}`;
  });
}

type CrlId = Extract<DocumentId, { kind: 'pck-crl' | 'root-ca-crl' }>;

function createIntelProtocol(
  name: string,
  { baseUrl, select }: IntelServer,
  crlPath: (id: CrlId) => string,
): CollateralProtocol {
  const base = baseUrl.replace(/\/+$/, '');
  const pathOf = (id: DocumentId): string => {
    if (id.kind === 'tcb-info') {
      return `/${id.tee}/certification/v4/tcb?fmspc=${id.fmspc}${selection(select, '&')}`;
    }
    if (id.kind === 'qe-identity') {
      return `/${id.tee}/certification/v4/qe/identity${selection(select, '?')}`;
    }
    if (id.kind === 'evaluation-numbers') {
      return `/${id.tee}/certification/v4/tcbevaluationdatanumbers`;
    }
    if (id.kind === 'pck-crl' || id.kind === 'root-ca-crl') return crlPath(id);
    throw new FetchProblem({ code: 'not_found', detail: 'not of this kind of server' });
  };
  return {
    name,
    request: (id) => {
      const path = pathOf(id);
      return new Request(path.startsWith('/') ? base + path : path, { headers: HEADERS });
    },
    read: readAnswer,
    // 461 and 462 are a PCCS's own: platform unknown, certificates not available.
    statuses: new Map([
      [461, 'not_found'],
      [462, 'not_found'],
    ]),
  };
}

function readAnswer(id: DocumentId, { headers, body }: ServerAnswer): CollateralDocument {
  const chain = readIssuerChain(headers, CHAIN_HEADERS.get(id.kind) ?? []);
  const isCrl = id.kind === 'pck-crl' || id.kind === 'root-ca-crl';
  return {
    body: isCrl ? readCrl(body, documentName(id)) : body,
    ...(chain === undefined ? {} : { chain }),
  };
}

function selection(select: TcbSelection | undefined, separator: string): string {
  if (select === undefined) return '';
  if ('update' in select) return `${separator}update=${select.update}`;
  return `${separator}tcbEvaluationDataNumber=${select.tcbEvaluationDataNumber}`;
}
