import { decodeHex } from '@cloister/bytes';
import type { CheckList } from '../check-list.ts';
import type { SgxClaims, TdxClaims } from '../claims.ts';
import type { TdxPolicy } from './appraisal-policy.ts';
import { isMigratable } from './findings.ts';

/**
 * What may be set in the flags of an enclave: INIT (bit 0), MODE64BIT (2), PROVISIONKEY (4), CET (6),
 * KSS (7), AEXNOTIFY (10). DEBUG (1) has a check of its own.
 */
const USUAL_FLAGS = 'd504000000000000';
const DEBUG_FLAG = '0200000000000000';
const INIT = 0x01;
const MODE64BIT = 0x04;
/** EXINFO and CPINFO: what the processor writes down of an exception, inside the enclave. */
const USUAL_MISCSELECT = '03000000';

/** SEPT_VE_DISABLE (bit 28), PKS (30), PERFMON (63); see spec/evidence.md 8. */
const USUAL_TD_ATTRIBUTES = '0000005000000080';
/** DEBUG (bit 0) and MIGRATABLE (29) have checks of their own. */
const JUDGED_TD_ATTRIBUTES = '0100002000000000';
/** The XFAM bits that go-tdx-guest allows; x87 and SSE, the first two, must be on. */
const USUAL_XFAM = 'e7db060000000000';

/**
 * How an enclave was started: MRENCLAVE covers neither ATTRIBUTES nor MISCSELECT, and the same bytes
 * in another mode are other code. Which further XFRM bits are on is the processor's affair.
 */
export function appraiseEnclaveAttributes(
  list: CheckList,
  { attributes, miscSelect }: Pick<SgxClaims, 'attributes' | 'miscSelect'>,
): void {
  const [first = 0] = decodeHex(attributes);
  list.expect('enclave is initialised', (first & INIT) !== 0, 'policy.attributes');
  list.expect('enclave runs in 64-bit mode', (first & MODE64BIT) !== 0, 'policy.attributes');
  const usual = isWithin(attributes.slice(0, 16), [USUAL_FLAGS, DEBUG_FLAG]);
  list.expect('no unknown enclave attributes', usual, 'policy.attributes');
  const known = isWithin(miscSelect, [USUAL_MISCSELECT]);
  list.expect('MISCSELECT', known, 'policy.attributes');
}

/** How a trust domain was started (spec/evidence.md 8): MRTD covers none of it. */
export function appraiseTdAttributes(
  list: CheckList,
  { septVeDisable, tdAttributes, xfam }: Pick<TdxClaims, 'septVeDisable' | 'tdAttributes' | 'xfam'>,
  tdx: TdxPolicy = {},
): void {
  const { allowSeptVeDisableOff = false, allowMigratable = false } = tdx;
  const noInjection = septVeDisable || allowSeptVeDisableOff;
  list.expect('SEPT_VE_DISABLE', noInjection, 'policy.sept_ve');
  const fixed = !isMigratable(tdAttributes) || allowMigratable;
  list.expect('not migratable', fixed, 'policy.migratable');
  const attributes = [USUAL_TD_ATTRIBUTES, JUDGED_TD_ATTRIBUTES, tdx.extraTdAttributes];
  const known = isWithin(tdAttributes, attributes);
  list.expect('no unknown TD attributes', known, 'policy.attributes');
  const basics = ((decodeHex(xfam)[0] ?? 0) & 0x03) === 0x03;
  const usual = isWithin(xfam, [USUAL_XFAM, tdx.extraXfam]);
  list.expect('XFAM', basics && usual, 'policy.xfam');
}

/** Whether every bit that is set lies in one of the masks. */
function isWithin(value: string, masks: readonly (string | undefined)[]): boolean {
  const allowed = masks.map((mask) => decodeHex(mask ?? ''));
  return decodeHex(value).every((byte, i) => {
    const mask = allowed.reduce((sum, bytes) => sum | (bytes[i] ?? 0), 0);
    return (byte & ~mask) === 0;
  });
}
