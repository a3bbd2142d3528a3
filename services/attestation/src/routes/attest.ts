import type { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { errorCode } from '@cloister/service';
import { attest, type AttestDeps } from '../attest.ts';
import { parseAttestRequest } from '../attest-request.ts';
import { AzureError, azureErrorResponse, azureJson } from '../azure-error.ts';
import type { AttestationLog, AttestKind } from '../events.ts';

const MAX_BODY = 1 << 20;
const API_VERSIONS: readonly string[] = [
  '2020-10-01',
  '2022-08-01',
  '2022-09-01-preview',
  '2025-06-01',
];
/** The kinds of evidence, and the member of the request that holds it. */
const MEMBERS = { SgxEnclave: 'quote', OpenEnclave: 'report', Simulated: 'quote' } as const;
/** Kinds of the real service that this one does not verify yet. */
const OTHERS = ['SevSnpVm', 'TdxVm', 'AzureGuest', 'Tpm'] as const;

/** `POST /attest/{kind}` (spec/azure-attestation.md 1.2): anonymous, as in the real service. */
export function attestRoutes(app: Hono, deps: AttestDeps, log: AttestationLog): void {
  const limit = bodyLimit({
    maxSize: MAX_BODY,
    onError: () => {
      const error = new AzureError(
        'RequestEntityTooLarge',
        'The request body is larger than 1 MiB',
      );
      return azureErrorResponse(error);
    },
  });
  const handle = async (kind: AttestKind, request: Request): Promise<Response> => {
    const started = performance.now();
    const ms = (): number => Math.round((performance.now() - started) * 10) / 10;
    try {
      checkApiVersion(request);
      const body = new Uint8Array(await request.arrayBuffer());
      const { token, claims } = await attest(kind, parseAttestRequest(body, MEMBERS[kind]), deps);
      log('attested', { kind, tcb: claims.tcbStatus, debug: claims.debug, ms: ms() });
      return azureJson({ token });
    } catch (error) {
      if (!(error instanceof AzureError)) throw error;
      log('refused', { kind, code: errorCode({ code: error.reason }), ms: ms() });
      return azureErrorResponse(error);
    }
  };
  app.post('/attest/SgxEnclave', limit, (c) => handle('SgxEnclave', c.req.raw));
  app.post('/attest/OpenEnclave', limit, (c) => handle('OpenEnclave', c.req.raw));
  app.post('/attest/Simulated', limit, (c) => handle('Simulated', c.req.raw));
  for (const kind of OTHERS)
    app.post(`/attest/${kind}`, () =>
      azureErrorResponse(
        new AzureError('InvalidOperation', `This instance does not verify ${kind} evidence`),
      ),
    );
}

function checkApiVersion(request: Request): void {
  const version = new URL(request.url).searchParams.get('api-version');
  if (version === null)
    throw new AzureError(
      'InvalidParameter',
      'The api-version query parameter is required',
      'api_version',
    );
  if (!API_VERSIONS.includes(version))
    throw new AzureError('InvalidParameter', 'The api-version is not supported', 'api_version');
}
