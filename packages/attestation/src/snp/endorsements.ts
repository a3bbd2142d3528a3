import {
  decodeBase64url,
  encodeBase64url,
  MalformedError,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { Shape } from '../shape.ts';

/** The certificates (and CRL) that an SNP report is judged by, DER. */
export interface SnpEndorsements {
  /** VCEK or VLEK. */
  readonly vek: Bytes;
  /** ASK, of a VLEK the ASVK. */
  readonly ask: Bytes;
  readonly ark: Bytes;
  /** The ARK's. */
  readonly crl?: Bytes;
}

const MAX_CERTIFICATE = 16 * 1024;
const MAX_CRL = 1024 * 1024;

/** AMD's certificates out of an envelope's `endorsements` (design 3.7); a VLEK as `vlek`. */
export function snpEndorsementsOf(endorsements: JsonObject): SnpEndorsements {
  const vek = Object.hasOwn(endorsements, 'vlek') ? 'vlek' : 'vcek';
  const members = new Shape(endorsements, 'endorsements').members([vek, 'ask', 'ark'], ['crl']);
  const crl = members.maybe('crl');
  return {
    vek: bytesOf(members.get(vek), MAX_CERTIFICATE),
    ask: bytesOf(members.get('ask'), MAX_CERTIFICATE),
    ark: bytesOf(members.get('ark'), MAX_CERTIFICATE),
    ...(crl === undefined ? {} : { crl: bytesOf(crl, MAX_CRL) }),
  };
}

/** The `endorsements` of an envelope that carry these; `kind` is that of the VEK. */
export function encodeSnpEndorsements(
  { vek, ask, ark, crl }: SnpEndorsements,
  kind: 'vcek' | 'vlek' = 'vcek',
): JsonObject {
  return {
    [kind]: encodeBase64url(vek),
    ask: encodeBase64url(ask),
    ark: encodeBase64url(ark),
    ...(crl === undefined ? {} : { crl: encodeBase64url(crl) }),
  };
}

function bytesOf(shape: Shape, limit: number): Bytes {
  const { value } = shape;
  if (typeof value !== 'string' || value.length > Math.ceil((limit * 4) / 3)) return shape.fail();
  try {
    return decodeBase64url(value);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return shape.fail();
  }
}
