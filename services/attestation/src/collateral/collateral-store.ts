import type { IntelCollateral } from '@cloister/attestation';
import { isJsonObject, MalformedError, parseJsonObject } from '@cloister/bytes';
import { parseCrl } from '@cloister/crypto';
import { createPlatformReader, pckCaOf, type PckCa } from './quote-platform.ts';

/** Which collateral is asked for. */
interface CollateralKey {
  readonly tee: 'sgx' | 'tdx';
  /** 12 lower-hex digits. */
  readonly fmspc: string;
  readonly ca: PckCa;
}

/** The collateral that this service has at hand. */
export interface CollateralStore {
  /** The newest that is good at that time; else the newest; undefined where there is none. */
  find(key: CollateralKey, at: Date): IntelCollateral | undefined;
  /** The same, for the platform whose PCK certificate the quote carries. */
  findForQuote(quote: Uint8Array, at: Date): IntelCollateral | undefined;
  readonly size: number;
}

interface Shelved extends CollateralKey {
  readonly collateral: IntelCollateral;
  readonly evaluation: number;
  readonly issued: number;
  readonly ends: number;
}

/**
 * Shelves collateral by what it says of itself: the FMSPC and kind of its TCB info, the CA of its
 * PCK CRL. Throws MalformedError where it does not say.
 */
export function createCollateralStore(all: readonly IntelCollateral[]): CollateralStore {
  const shelf = all
    .map(shelve)
    .toSorted((a, b) => b.evaluation - a.evaluation || b.issued - a.issued);
  const platformOf = createPlatformReader();
  const find: CollateralStore['find'] = ({ tee, fmspc, ca }, at) => {
    const fitting = shelf.filter((one) => one.tee === tee && one.fmspc === fmspc && one.ca === ca);
    const time = at.getTime();
    const good = fitting.find(({ issued, ends }) => issued <= time && time < ends);
    return (good ?? fitting[0])?.collateral;
  };
  return {
    size: shelf.length,
    find,
    findForQuote: (quote, at) => find({ tee: 'sgx', ...platformOf(quote) }, at),
  };
}

function shelve(collateral: IntelCollateral): Shelved {
  const { tcbInfo } = parseJsonObject(collateral.tcbInfo, 'TCB info');
  const { id, fmspc, issueDate, nextUpdate, tcbEvaluationDataNumber } = isJsonObject(tcbInfo)
    ? tcbInfo
    : {};
  if (typeof fmspc !== 'string' || typeof issueDate !== 'string' || typeof nextUpdate !== 'string')
    throw new MalformedError('bad_value', 'TCB info');
  const crl = parseCrl(collateral.pckCrl, 'PCK CRL');
  return {
    collateral,
    tee: id === 'TDX' ? 'tdx' : 'sgx',
    fmspc: fmspc.toLowerCase(),
    ca: pckCaOf(crl),
    evaluation: typeof tcbEvaluationDataNumber === 'number' ? tcbEvaluationDataNumber : 0,
    issued: Date.parse(issueDate),
    ends: Date.parse(nextUpdate),
  };
}
