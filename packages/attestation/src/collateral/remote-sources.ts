import { decodeUtf8 } from '@cloister/bytes';
import { INTEL_ROOT, type IntelCollateral, type TrustAnchor } from '../intel/collateral.ts';
import { AMD_ROOTS } from '../snp/amd-roots.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import { acceptAmd, type AmdDocumentId } from './accept-amd.ts';
import { acceptIntel, type IntelDocumentId } from './accept-intel.ts';
import { FetchProblem } from './collateral-failure.ts';
import type { CollateralProtocol } from './collateral-protocol.ts';
import type { Fetched, IntelCollateralSource, SnpEndorsementSource } from './collateral-source.ts';
import { DocumentCache, type DocumentCacheOptions } from './document-cache.ts';
import type { CollateralDocument, DocumentId } from './document.ts';
import { parseEvaluationNumbers, type EvaluationNumbers } from './evaluation-numbers.ts';
import { readAmdChain } from './kds-protocol.ts';

/** How a source asks, what it keeps, and what it believes. */
export interface RemoteSourceOptions extends DocumentCacheOptions {
  /** Roots by which documents are taken in; Intel's or AMD's unless told. */
  readonly anchors?: readonly TrustAnchor[];
}

/** A server that speaks Intel's API. */
export interface IntelServerSource extends IntelCollateralSource {
  /** Which sets of TCB documents there are: what `update=early` will bring, before it does. */
  evaluationNumbers(tee: 'sgx' | 'tdx'): Promise<Fetched<EvaluationNumbers>>;
  /** PEM of the CA that signed the PCK CRL, where the server gives it: no verifier needs it. */
  pckCrlChain(ca: 'processor' | 'platform'): Promise<string | undefined>;
}

/**
 * Intel's collateral from a server: its PCS, a PCCS, Azure's THIM, as the protocol says. The four
 * documents are fetched side by side; one that is missing makes the answer a failure.
 */
export function createIntelSource(
  protocol: CollateralProtocol,
  { anchors = [INTEL_ROOT], ...options }: RemoteSourceOptions,
): IntelServerSource {
  const cache = new DocumentCache(
    protocol,
    (id, document) => acceptIntel(intelDocument(id), document, anchors),
    options,
  );
  return {
    name: protocol.name,
    intel: async ({ tee, fmspc, ca }) => {
      const parts = await Promise.all([
        cache.get({ kind: 'tcb-info', tee, fmspc }),
        cache.get({ kind: 'qe-identity', tee }),
        cache.get({ kind: 'pck-crl', ca }),
        cache.get({ kind: 'root-ca-crl' }),
      ]);
      return joined(
        parts,
        ([tcbInfo, qeIdentity, pckCrl, rootCaCrl]): IntelCollateral => ({
          tcbInfo: decodeUtf8(tcbInfo.body, 'TCB info'),
          tcbInfoChain: tcbInfo.chain ?? '',
          qeIdentity: decodeUtf8(qeIdentity.body, 'QE identity'),
          qeIdentityChain: qeIdentity.chain ?? '',
          pckCrl: pckCrl.body,
          rootCaCrl: rootCaCrl.body,
        }),
      );
    },
    evaluationNumbers: async (tee) =>
      joined([await cache.get({ kind: 'evaluation-numbers', tee })], ([{ body }]) =>
        parseEvaluationNumbers(decodeUtf8(body, 'TCB evaluation data numbers')),
      ),
    pckCrlChain: async (ca) => {
      const crl = await cache.get({ kind: 'pck-crl', ca });
      return crl.ok ? crl.value.chain : undefined;
    },
  };
}

/**
 * AMD's certificates from a server: its Key Distribution Service, or Azure's THIM. A VCEK is kept
 * for ever, a CRL never; with `crl: false` none is asked for, and the verifier lists revocation as
 * not checked.
 */
export function createSnpSource(
  protocol: CollateralProtocol,
  options: RemoteSourceOptions & { readonly crl?: boolean },
): SnpEndorsementSource {
  const { crl = true, anchors = AMD_ROOTS, ...rest } = options;
  const cache: DocumentCache = new DocumentCache(protocol, accept, rest);
  function accept(id: DocumentId, document: CollateralDocument): ReturnType<typeof acceptAmd> {
    const amd = amdDocument(id);
    const signer = amd.kind === 'vcek' ? 'vcek' : amd.signer;
    return acceptAmd(amd, document, anchors, async () => {
      const chain = await cache.get({ kind: 'amd-chain', product: amd.product, signer });
      if (chain.ok) return chain.value.body;
      const [failure] = chain.failures;
      throw new FetchProblem({ code: 'unavailable', ...failure, detail: 'its chain is missing' });
    });
  }
  return {
    name: protocol.name,
    snp: async ({ product, signer, chipId, tcb }) => {
      const why = signer === 'vlek' ? 'VLEKs are handed out by providers' : maskedChip(chipId);
      if (why !== undefined) {
        const whose = { source: protocol.name, document: 'VCEK' };
        return { ok: false, failures: [{ code: 'not_found', detail: why, ...whose }] };
      }
      const chain = { kind: 'amd-chain', product, signer } as const;
      const parts = await Promise.all([
        cache.get({ kind: 'vcek', product, chipId, tcb }),
        cache.get(chain),
        // Without a CRL the chain stands here twice: it is there already.
        cache.get(crl ? { kind: 'amd-crl', product, signer } : chain),
      ]);
      return joined(parts, ([vek, { body: pem }, list]): SnpEndorsements => {
        const [ask, ark] = readAmdChain(pem);
        return { vek: vek.body, ask, ark, ...(crl ? { crl: list.body } : {}) };
      });
    },
  };
}

function maskedChip(chipId: string): string | undefined {
  return /^0*$/.test(chipId) ? 'CHIP_ID is masked' : undefined;
}

/** One answer of several documents: good if all of them are. */
function joined<Parts extends readonly Fetched<CollateralDocument>[], T>(
  parts: readonly [...Parts],
  make: (values: { [K in keyof Parts]: CollateralDocument }) => T,
): Fetched<T> {
  const values: CollateralDocument[] = [];
  const origins = [];
  const failures = [];
  for (const part of parts) {
    failures.push(...part.failures);
    if (!part.ok) continue;
    values.push(part.value);
    origins.push(...part.origins);
  }
  if (values.length < parts.length) return { ok: false, failures };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one value for each part
  return { ok: true, value: make(values as never), origins, failures };
}

function intelDocument(id: DocumentId): IntelDocumentId {
  if (id.kind === 'vcek' || id.kind === 'amd-chain' || id.kind === 'amd-crl') {
    throw new FetchProblem({ code: 'not_found' });
  }
  return id;
}

function amdDocument(id: DocumentId): AmdDocumentId {
  if (id.kind === 'vcek' || id.kind === 'amd-chain' || id.kind === 'amd-crl') return id;
  throw new FetchProblem({ code: 'not_found' });
}
