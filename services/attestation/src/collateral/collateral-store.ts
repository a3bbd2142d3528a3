import {
  encodeSnpEndorsements,
  type BundleEntry,
  type IntelCollateral,
  type IntelCollateralSource,
  type IntelQuery,
} from '@cloister/attestation';
import { isJsonObject, parseJsonObject, type Bytes, type JsonObject } from '@cloister/bytes';
import { isGoodAt, newestAt, type Dated } from './dated.ts';
import { assembleCollateral, type LooseDocuments } from './loose-documents.ts';
import { createPlatformReader } from './quote-platform.ts';

/** The collateral that this service has at hand, or can ask for. */
export interface CollateralStore {
  /**
   * The newest that is good at that time; else the newest; undefined where there is none. With a
   * baseline, that of this evaluation data number, or a newer one: what meets it meets the older.
   */
  find(key: IntelQuery, at: Date, baseline?: number): Promise<IntelCollateral | undefined>;
  /** The same, for the platform whose PCK certificate the quote carries. */
  findForQuote(
    tee: 'sgx' | 'tdx',
    quote: Uint8Array,
    at: Date,
    baseline?: number,
  ): Promise<IntelCollateral | undefined>;
  /** AMD's certificates of a chip for a TCB, as endorsements; undefined where there are none. */
  findSnp(query: { product: string; chip: string; tcb: string }): JsonObject | undefined;
  /** The CRL of AMD's root for a product line, DER; undefined where there is none. */
  amdCrl(product: string): Bytes | undefined;
  /** The evaluation data numbers that are at hand for a kind of TEE, the newest first. */
  baselines(tee: 'sgx' | 'tdx'): readonly Baseline[];
  readonly size: number;
}

/** A TCB baseline: one set of Intel's TCB documents. */
export interface Baseline {
  readonly evaluation: number;
  readonly issued: Date;
}

/** What a store is made of. */
export interface CollateralSupply {
  readonly entries: readonly BundleEntry[];
  readonly loose?: LooseDocuments;
  /** Asked where nothing at hand is good. */
  readonly remote?: IntelCollateralSource;
}

type IntelEntry = Extract<BundleEntry, { kind: 'intel' }>;
type SnpEntry = Extract<BundleEntry, { kind: 'snp' }>;

interface Shelved extends Dated {
  readonly query: IntelQuery;
  readonly collateral: IntelCollateral;
}

interface Candidate {
  readonly collateral: IntelCollateral;
  readonly number: number;
  readonly good: boolean;
}

/** A store of bundles and loose documents, backed by a source on the network if there is one. */
export function createCollateralStore(supply: CollateralSupply): CollateralStore {
  const { entries, loose, remote } = supply;
  const shelf = entries.flatMap((entry) => (entry.kind === 'intel' ? [shelve(entry)] : []));
  const chips = entries.filter((entry): entry is SnpEntry => entry.kind === 'snp');
  const platformOf = createPlatformReader();
  const same = rememberSame();
  const local = (key: IntelQuery, at: Date, baseline?: number): Candidate | undefined => {
    const fitting = shelf.filter(
      ({ query, evaluation }) =>
        query.tee === key.tee &&
        query.fmspc === key.fmspc &&
        query.ca === key.ca &&
        (baseline === undefined || evaluation === baseline),
    );
    const kept = newestAt(fitting, at);
    const onShelf = kept && {
      collateral: kept.collateral,
      number: kept.evaluation,
      good: isGoodAt(kept, at),
    };
    if (onShelf?.good === true || loose === undefined) return onShelf;
    const assembled = assembleCollateral(loose, key, at, baseline);
    return assembled?.good === true ? assembled : (onShelf ?? assembled);
  };
  const find: CollateralStore['find'] = async (key, at, baseline) => {
    const exact = baseline === undefined ? undefined : local(key, at, baseline);
    if (exact !== undefined) return same(key, exact.collateral);
    let best = local(key, at);
    if (best?.good !== true && remote !== undefined) {
      const fetched = await remote.intel(key);
      if (fetched.ok) best = { collateral: fetched.value, ...datesOf(fetched.value) };
    }
    if (best === undefined || best.number < (baseline ?? 0)) return undefined;
    return same(key, best.collateral);
  };
  return {
    size: shelf.length + chips.length + (loose?.tcbInfos.length ?? 0),
    find,
    findForQuote: (tee, quote, at, baseline) => find({ tee, ...platformOf(quote) }, at, baseline),
    findSnp: ({ product, chip, tcb }) => {
      const entry = chips.find(({ query }) => isFor(query, product, chip, tcb));
      return entry && encodeSnpEndorsements(entry.endorsements, entry.query.signer);
    },
    amdCrl: (product) =>
      chips.find(({ query, endorsements }) => query.product === product && endorsements.crl)
        ?.endorsements.crl,
    baselines: (tee) => {
      const all = new Map<number, Date>();
      const note = ({ evaluation, issued }: Dated): void => {
        const before = all.get(evaluation);
        if (before === undefined || before.getTime() > issued)
          all.set(evaluation, new Date(issued));
      };
      for (const one of shelf) if (one.query.tee === tee) note(one);
      for (const one of loose?.tcbInfos ?? []) if (one.tee === tee) note(one);
      return Array.from(all, ([evaluation, issued]) => ({ evaluation, issued })).toSorted(
        (a, b) => b.evaluation - a.evaluation,
      );
    },
  };
}

function shelve({ query, collateral, issued, ends }: IntelEntry): Shelved {
  return {
    query,
    collateral,
    evaluation: datesOf(collateral).number,
    issued: issued.getTime(),
    ends: ends.getTime(),
  };
}

function datesOf({ tcbInfo }: IntelCollateral): { number: number; good: boolean } {
  const body = parseJsonObject(tcbInfo, 'TCB info')['tcbInfo'];
  const number = isJsonObject(body) ? body['tcbEvaluationDataNumber'] : undefined;
  return { number: typeof number === 'number' ? number : 0, good: true };
}

/** By name of the product line, the chip's id as its certificate has it, and the TCB in hex. */
function isFor(
  { product, chipId, tcb }: SnpEntry['query'],
  ...asked: [string, string, string]
): boolean {
  const [name, chip, level] = asked;
  const { fmc, bootloader, tee, snp, microcode } = tcb;
  const parts =
    fmc === undefined ? [bootloader, tee, snp, microcode] : [fmc, bootloader, tee, snp, microcode];
  return (
    product.toLowerCase() === name.toLowerCase() &&
    chipId !== '' &&
    chip.startsWith(chipId) &&
    parts.join('.') === level
  );
}

/**
 * The same object for the same documents: whoever keeps what follows from them, keeps it by the
 * object.
 */
function rememberSame(): (key: IntelQuery, found: IntelCollateral) => IntelCollateral {
  const last = new Map<string, IntelCollateral>();
  return ({ tee, fmspc, ca }, found) => {
    const id = `${tee}/${fmspc}/${ca}`;
    const before = last.get(id);
    if (before !== undefined && isSame(before, found)) return before;
    last.delete(id);
    last.set(id, found);
    const [oldest] = last.keys();
    if (last.size > 1024 && oldest !== undefined) last.delete(oldest);
    return found;
  };
}

function isSame(a: IntelCollateral, b: IntelCollateral): boolean {
  return (
    a.tcbInfo === b.tcbInfo &&
    a.qeIdentity === b.qeIdentity &&
    a.tcbInfoChain === b.tcbInfoChain &&
    a.qeIdentityChain === b.qeIdentityChain &&
    a.pckCrl === b.pckCrl &&
    a.rootCaCrl === b.rootCaCrl
  );
}
