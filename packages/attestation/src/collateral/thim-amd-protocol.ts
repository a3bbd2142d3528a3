import { decodePem, decodeUtf8, encodeUtf8, MalformedError, parseJson } from '@cloister/bytes';
import { Shape } from '../shape.ts';
import type { CollateralProtocol } from './collateral-protocol.ts';
import { FetchProblem } from './collateral-failure.ts';

const NAME = 'THIM answer';
const PEM = /^-----BEGIN CERTIFICATE-----[\s\S]{1,65536}$/u;

/**
 * Azure's THIM at the metadata address that only a confidential VM itself can reach: the VCEK of
 * its own processor, with its chain (spec/evidence.md 10). It has no other chip's, and no CRL.
 */
export function createThimAmdProtocol({
  baseUrl = 'http://169.254.169.254',
}: {
  readonly baseUrl?: string;
} = {}): CollateralProtocol {
  const base = baseUrl.replace(/\/+$/, '');
  return {
    name: 'azure-thim',
    request: ({ kind }) => {
      if (kind !== 'vcek' && kind !== 'amd-chain') {
        throw new FetchProblem({ code: 'not_found', detail: 'not of this kind of server' });
      }
      // Proof that the request was not forwarded by somebody who was tricked into it.
      const headers = { metadata: 'true' };
      return new Request(`${base}/metadata/THIM/amd/certification`, { headers });
    },
    read: ({ kind }, { body }) => {
      const members = new Shape(parseJson(decodeUtf8(body, NAME), NAME), NAME).members(
        ['vcekCert', 'certificateChain'],
        ['tcbm', 'cacheControl'],
      );
      if (kind === 'amd-chain') {
        return { body: encodeUtf8(members.get('certificateChain').string(PEM)) };
      }
      const [der, ...more] = decodePem(members.get('vcekCert').string(PEM), 'CERTIFICATE', NAME);
      if (der === undefined || more.length > 0) throw new MalformedError('bad_value', NAME);
      return { body: der };
    },
  };
}
