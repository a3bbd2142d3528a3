import { decodePem, decodeUtf8, MalformedError } from '@cloister/bytes';
import type { SnpTcb } from '../claims.ts';
import type { CollateralProtocol } from './collateral-protocol.ts';
import { FetchProblem } from './collateral-failure.ts';
import { documentName, type DocumentId } from './document.ts';
import { readCrl } from './read-crl.ts';

/** AMD's Key Distribution Service. */
const AMD_KDS_URL = 'https://kdsintf.amd.com';
/** Turin's chips are named by the first bytes of CHIP_ID (spec/evidence.md 9.6.6). */
const TURIN_ID_DIGITS = 16;

/** AMD's Key Distribution Service (spec/evidence.md 9.7). It hands out no VLEKs: providers do. */
export function createKdsProtocol({
  baseUrl = AMD_KDS_URL,
}: {
  readonly baseUrl?: string;
} = {}): CollateralProtocol {
  const base = baseUrl.replace(/\/+$/, '');
  return {
    name: 'amd-kds',
    request: (id) => new Request(base + pathOf(id)),
    read: (id, { body }) => {
      if (id.kind === 'amd-crl') return { body: readCrl(body, documentName(id)) };
      if (id.kind === 'amd-chain') readAmdChain(body);
      return { body };
    },
  };
}

/** The ASK (or ASVK) and the ARK, DER, from the PEM text in which the KDS serves them. */
export function readAmdChain(
  body: Uint8Array,
): readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const name = 'ASK and ARK';
  const [ask, ark, ...more] = decodePem(decodeUtf8(body, name), 'CERTIFICATE', name);
  if (ask === undefined || ark === undefined || more.length > 0) {
    throw new MalformedError('bad_value', `${name}: not two certificates`);
  }
  return [ask, ark];
}

function pathOf(id: DocumentId): string {
  if (id.kind === 'vcek') {
    const { product, chipId, tcb } = id;
    const chip = product === 'Turin' ? chipId.slice(0, TURIN_ID_DIGITS) : chipId;
    return `/vcek/v1/${product}/${chip}?${levelsOf(tcb)}`;
  }
  if (id.kind === 'amd-chain') return `/${id.signer}/v1/${id.product}/cert_chain`;
  if (id.kind === 'amd-crl') return `/${id.signer}/v1/${id.product}/crl`;
  throw new FetchProblem({ code: 'not_found', detail: 'not of this kind of server' });
}

/** Two digits each; the FMC's exists from Turin on. */
function levelsOf({ fmc, bootloader, tee, snp, microcode }: SnpTcb): string {
  const levels = [
    ...(fmc === undefined ? [] : [['fmc', fmc] as const]),
    ['bl', bootloader] as const,
    ['tee', tee] as const,
    ['snp', snp] as const,
    ['ucode', microcode] as const,
  ];
  return levels.map(([name, level]) => `${name}SPL=${String(level).padStart(2, '0')}`).join('&');
}
