import { concatBytes, encodePem, encodeUtf8, MalformedError } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { INTEL_ROOT, type TrustAnchor } from '../intel/collateral.ts';
import { Refusal } from '../intel/progress.ts';
import { AMD_ROOTS } from '../snp/amd-roots.ts';
import { acceptAmd, acceptVlek } from './accept-amd.ts';
import { acceptIntel, type IntelDocumentId } from './accept-intel.ts';
import type { BundleEntry } from './bundle.ts';
import { documentName, type CollateralDocument, type DocumentDates } from './document.ts';

/** What one document of a bundle is, and whether it counts. */
export interface DescribedDocument {
  readonly document: string;
  readonly issued?: Date;
  readonly nextUpdate?: Date;
  readonly evaluationNumber?: number;
  readonly verdict: DocumentVerdict;
  /** Why it is not signed by a root that counts; names of structures and codes only. */
  readonly detail?: string;
}

/** Whether a document counts at a time. */
export type DocumentVerdict =
  | 'good'
  /** Signed, and not yet or no longer in date. */
  | 'out-of-date'
  /** Its issuer's certificate is not in the bundle: a quote brings it. */
  | 'not-checked'
  | 'refused';

type IntelEntry = Extract<BundleEntry, { kind: 'intel' }>;
type SnpEntry = Extract<BundleEntry, { kind: 'snp' }>;

/** Every document of an entry, verified at the given time by roots that count. */
export async function describeEntry(
  entry: BundleEntry,
  { at, anchors }: { readonly at: Date; readonly anchors?: readonly TrustAnchor[] },
): Promise<DescribedDocument[]> {
  return entry.kind === 'intel'
    ? describeIntel(entry, anchors ?? [INTEL_ROOT], at)
    : describeSnp(entry, anchors ?? AMD_ROOTS, at);
}

function describeIntel(
  { query, collateral, pckCrlChain }: IntelEntry,
  anchors: readonly TrustAnchor[],
  at: Date,
): Promise<DescribedDocument[]> {
  const { tee, fmspc, ca } = query;
  const { tcbInfoChain, qeIdentityChain } = collateral;
  const chain = pckCrlChain === undefined ? {} : { chain: pckCrlChain };
  // A root by its digest alone gives no key to verify the root's own CRL with.
  const rootKnown = anchors.some((anchor) => 'spki' in anchor);
  const documents: readonly (readonly [IntelDocumentId, CollateralDocument, boolean])[] = [
    [
      { kind: 'tcb-info', tee, fmspc },
      { body: encodeUtf8(collateral.tcbInfo), chain: tcbInfoChain },
      true,
    ],
    [
      { kind: 'qe-identity', tee },
      { body: encodeUtf8(collateral.qeIdentity), chain: qeIdentityChain },
      true,
    ],
    [{ kind: 'pck-crl', ca }, { body: collateral.pckCrl, ...chain }, pckCrlChain !== undefined],
    [{ kind: 'root-ca-crl' }, { body: collateral.rootCaCrl }, rootKnown],
  ];
  return Promise.all(
    documents.map(([id, document, checked]) =>
      describe(documentName(id), at, checked, () => acceptIntel(id, document, anchors)),
    ),
  );
}

async function describeSnp(
  { query, endorsements }: SnpEntry,
  anchors: readonly TrustAnchor[],
  at: Date,
): Promise<DescribedDocument[]> {
  const { product, signer, chipId, tcb } = query;
  const { vek, ask, ark, crl } = endorsements;
  const pem = concatBytes(...[ask, ark].map((der) => encodeUtf8(encodePem('CERTIFICATE', der))));
  const chain = (): Promise<Uint8Array> => Promise.resolve(pem);
  const ca = { kind: 'amd-chain', product, signer } as const;
  return Promise.all([
    signer === 'vlek'
      ? describe('VLEK', at, true, () => withDates(vek, acceptVlek(endorsements, anchors)))
      : describe('VCEK', at, true, () =>
          withDates(
            vek,
            acceptAmd({ kind: 'vcek', product, chipId, tcb }, { body: vek }, anchors, chain),
          ),
        ),
    describe('ASK and ARK', at, true, () =>
      withDates(ask, acceptAmd(ca, { body: pem }, anchors, chain)),
    ),
    ...(crl === undefined
      ? []
      : [
          describe('AMD CRL', at, true, () =>
            acceptAmd({ ...ca, kind: 'amd-crl' }, { body: crl }, anchors, chain),
          ),
        ]),
  ]);
}

/** The dates of a certificate, once it was taken in. */
async function withDates(
  der: Uint8Array,
  accepted: Promise<DocumentDates>,
): Promise<DocumentDates> {
  const { notBefore: issued, notAfter: nextUpdate } = parseCertificate(der);
  return { ...(await accepted), issued, nextUpdate };
}

async function describe(
  document: string,
  at: Date,
  checked: boolean,
  accept: () => Promise<DocumentDates>,
): Promise<DescribedDocument> {
  let dates: DocumentDates;
  try {
    dates = await accept();
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof MalformedError)) throw error;
    return { document, verdict: 'refused', detail: error.message };
  }
  const { issued, nextUpdate } = dates;
  const early = issued !== undefined && !(at >= issued);
  const late = nextUpdate !== undefined && !(at <= nextUpdate);
  if (early || late) return { document, ...dates, verdict: 'out-of-date' };
  return { document, ...dates, verdict: checked ? 'good' : 'not-checked' };
}
