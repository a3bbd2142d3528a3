import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { decodeUtf8, encodePem } from '@cloister/bytes';
import { parseCertificateChain } from '@cloister/crypto';
import { shared } from '../shared.ts';

/** What a server answers to one request. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** Answers by path and query, as it was asked for: a request in another form finds nothing. */
export type Routes = Readonly<Record<string, Answer | ((request: IncomingMessage) => Answer)>>;

/** A server on this machine that notes what it is asked. */
export interface LocalServer {
  readonly url: string;
  /** Path and query of each request, in their order. */
  readonly asked: string[];
  /** Answers of this status come first, one for each request. */
  readonly interrupt: (...answers: readonly Answer[]) => void;
  readonly close: () => Promise<void>;
}

/** Serves these routes on a free port; all else is 404. */
export async function serveRoutes(routes: Routes): Promise<LocalServer> {
  const asked: string[] = [];
  const interruptions: Answer[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const route = routes[path];
    const answer =
      interruptions.shift() ??
      (typeof route === 'function' ? route(request) : (route ?? { status: 404 }));
    response.writeHead(answer.status ?? 200, { ...answer.headers });
    response.end(answer.body ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    interrupt: (...answers) => {
      interruptions.push(...answers);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The files of the vectors that make up one platform's collateral, served as Intel serves them. */
export interface RecordedPlatform {
  readonly quote: string;
  readonly tee: 'sgx' | 'tdx';
  readonly ca: 'processor' | 'platform';
  readonly fmspc: string;
  readonly at: Date;
  readonly tcbInfo: string;
  readonly qeIdentity: string;
  readonly pckCrl: string;
  readonly rootCaCrl: string;
  readonly signers: string;
}

export const SGX_PLATFORM: RecordedPlatform = {
  quote: 'sgx/quotes/azuresamples-enclave.info.debug-7ae719.bin',
  tee: 'sgx',
  ca: 'processor',
  fmspc: '00906ed50000',
  at: new Date(1_749_668_926_000),
  tcbInfo: 'sgx/collateral/tcbinfo-00906ed50000-v3-ev17-2025-05-27.json',
  qeIdentity: 'sgx/collateral/qe-ev17-2025-05-27.json',
  pckCrl: 'sgx/collateral/crl-processor-2025-05-27-44f02b.der',
  rootCaCrl: 'sgx/collateral/crl-root-2025-03-20-ad6f3f.der',
  signers: 'sgx/collateral/tcb-signing-2025.pem',
};

export const TDX_PLATFORM: RecordedPlatform = {
  quote: 'tdx/quotes/phala-tdx-quote-f1c850.bin',
  tee: 'tdx',
  ca: 'platform',
  fmspc: 'b0c06f000000',
  at: new Date(1_751_624_191_000),
  tcbInfo: 'tdx/collateral/tcbinfo-b0c06f000000-v3-ev17-2025-06-19.json',
  qeIdentity: 'tdx/collateral/tdqe-ev17-2025-06-19.json',
  pckCrl: 'sgx/collateral/crl-platform-2025-06-19-e583e9.der',
  rootCaCrl: 'sgx/collateral/crl-root-2025-03-20-ad6f3f.der',
  signers: 'sgx/collateral/tcb-signing-2025.pem',
};

/** A file of the vectors. */
export function vector(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(shared(`vectors/${path}`)));
}

/** The answers with the documents of a platform, their chains in headers as Intel encodes them. */
export function intelAnswers(platform: RecordedPlatform): {
  readonly tcbInfo: Answer;
  readonly qeIdentity: Answer;
  readonly pckCrl: Answer;
  readonly rootCaCrl: Uint8Array;
} {
  const signers = encodeURIComponent(decodeUtf8(vector(platform.signers)));
  const json = 'application/json';
  return {
    tcbInfo: {
      headers: { 'content-type': json, 'TCB-Info-Issuer-Chain': signers },
      body: vector(platform.tcbInfo),
    },
    qeIdentity: {
      headers: { 'content-type': json, 'SGX-Enclave-Identity-Issuer-Chain': signers },
      body: vector(platform.qeIdentity),
    },
    pckCrl: {
      headers: {
        'content-type': 'application/pkix-crl',
        'SGX-PCK-CRL-Issuer-Chain': encodeURIComponent(pckCaChain(platform)),
      },
      body: vector(platform.pckCrl),
    },
    rootCaCrl: vector(platform.rootCaCrl),
  };
}

/** PCK CA and root, PEM, as they stand in the platform's own quote. */
function pckCaChain({ quote }: RecordedPlatform): string {
  const text = Buffer.from(vector(quote)).toString('latin1');
  const end = '-----END CERTIFICATE-----';
  const pem = text.slice(text.indexOf('-----BEGIN'), text.lastIndexOf(end) + end.length);
  const [, ...issuers] = parseCertificateChain(pem);
  return issuers.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}

/** The routes of a server that speaks version 4 of Intel's API for one platform. */
export function intelRoutes(
  platform: RecordedPlatform,
  { query = '', rootCrl }: { readonly query?: string; readonly rootCrl: Routes },
): Routes {
  const answers = intelAnswers(platform);
  const { tee, fmspc, ca } = platform;
  return {
    [`/${tee}/certification/v4/tcb?fmspc=${fmspc}${query}`]: answers.tcbInfo,
    [`/${tee}/certification/v4/qe/identity${query.replace('&', '?')}`]: answers.qeIdentity,
    [`/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`]: answers.pckCrl,
    ...rootCrl,
  };
}
