import { findingsOf, isMigratable } from '../appraisal/findings.ts';
import { CheckList } from '../check-list.ts';
import type { EvidenceClaims } from '../claims.ts';
import type { TokenEvidenceClaims } from '../token/claims-of-token.ts';
import type { Appraisal, Check } from '../verification.ts';
import { checkIdentity, type AzureCvmClaims, type IdentityClaims } from './identity-checks.ts';
import type { Identity, Manifest } from './manifest.ts';

/**
 * Whether the manifest admits evidence with these verified claims as this service: the evidence
 * is of the sort that counts, and at least one of the service's identities is met in every
 * predicate. All predicates of all identities are listed.
 */
export function admit(
  manifest: Manifest,
  service: string,
  claims: EvidenceClaims | AzureCvmClaims,
): Appraisal {
  const list = new CheckList();
  checkEvidenceRules(list, manifest, claims);
  checkHardware(list, manifest, claims);
  return appraisalOf(list, checkService(list, manifest, service, claims), claims);
}

/**
 * As `admit`, for what a verified token says: predicates that a token does not carry are left
 * to the issuer's policy, which the manifest pins; a list of platforms is not, and fails.
 */
export function admitToken(
  manifest: Manifest,
  service: string,
  claims: TokenEvidenceClaims,
): Appraisal {
  const list = new CheckList();
  checkEvidenceRules(list, manifest, claims);
  const { platforms } = manifest.evidence;
  list.expect('hardware: platform', platforms === 'any', 'policy.platform', 'not in a token');
  if (claims.tee === 'snp')
    list.expect('hardware: not migratable', !claims.migrationAllowed, 'policy.migratable');
  return appraisalOf(list, checkService(list, manifest, service, claims), claims);
}

/** Design 2.1, rule 9: a verifier holds one sort of evidence, never both. */
function checkEvidenceRules(
  list: CheckList,
  { evidence }: Manifest,
  claims: { readonly simulated: boolean; readonly debug: boolean },
): void {
  const simulated = evidence.roots !== 'hardware';
  const code = claims.simulated ? 'policy.simulated' : 'roots_mismatch';
  list.expect('hardware: sort of evidence', claims.simulated === simulated, code);
  list.expect('hardware: not debuggable', !claims.debug, 'policy.debug');
}

function checkHardware(
  list: CheckList,
  { evidence }: Manifest,
  claims: EvidenceClaims | AzureCvmClaims,
): void {
  const number = evidence.minTcbEvaluationDataNumber;
  if (claims.tee === 'sgx' || claims.tee === 'tdx') {
    list.expect(
      'hardware: collateral in date',
      !claims.collateralExpired,
      'policy.collateral_expired',
    );
    if (number === undefined) list.skip('hardware: TCB evaluation number', 'any');
    else {
      const reached = claims.tcbEvaluationDataNumber >= number;
      list.expect('hardware: TCB evaluation number', reached, 'policy.evaluation_number');
    }
  }
  if (claims.tee === 'snp')
    list.expect('hardware: not migratable', !claims.migrateMA, 'policy.migratable');
  if (claims.tee === 'sgx') {
    const initialised = Number.parseInt(claims.attributes.slice(0, 2), 16) % 2 === 1;
    list.expect('hardware: enclave initialised', initialised, 'policy.attributes');
  }
  if (claims.tee === 'tdx') {
    list.expect('hardware: SEPT_VE_DISABLE', claims.septVeDisable, 'policy.sept_ve');
    list.expect(
      'hardware: not migratable',
      !isMigratable(claims.tdAttributes),
      'policy.migratable',
    );
    const alone = /^0*$/u.test(claims.mrservicetd ?? '');
    list.expect('hardware: no service TD', alone, 'policy.mrservicetd');
  }
  const { platforms } = evidence;
  if (platforms === 'any') list.skip('hardware: platform', 'any machine of this make');
  else list.expect('hardware: platform', platforms.includes(platformOf(claims)), 'policy.platform');
}

function platformOf(claims: EvidenceClaims | AzureCvmClaims): string {
  switch (claims.tee) {
    case 'sgx':
    case 'tdx':
      return claims.ppid;
    case 'snp':
      return claims.chipIdMasked ? '' : claims.chipId;
    case 'azure-cvm':
      return '';
  }
}

/** Lists the predicates of every identity; gives the code of a refusal. */
function checkService(
  list: CheckList,
  manifest: Manifest,
  service: string,
  claims: IdentityClaims,
): string | undefined {
  const agreement = Object.hasOwn(manifest.services, service)
    ? manifest.services[service]
    : undefined;
  list.expect('code: service named in the manifest', agreement !== undefined, 'service_unknown');
  const verdicts = (agreement?.identity.anyOf ?? []).map((identity: Identity) => {
    const verdict = new CheckList();
    checkIdentity(verdict, identity, claims);
    return verdict;
  });
  const met = verdicts.findIndex(({ code }) => code === undefined);
  for (const [index, verdict] of verdicts.entries()) {
    const suffix = verdicts.length === 1 ? '' : ` (identity ${index + 1})`;
    // Where one identity is met, what the others lack decides nothing.
    const settled = met >= 0 && met !== index;
    list.include(
      verdict.checks.map(({ check, ...rest }): Check => {
        const name = `${check}${suffix}`;
        return settled
          ? { check: name, outcome: 'skipped', detail: `identity ${met + 1} is met` }
          : { check: name, ...rest };
      }),
    );
  }
  // The identity of the same kind that fails last comes nearest: its code says most.
  return met >= 0 ? undefined : nearest(verdicts)?.code;
}

function nearest(verdicts: readonly CheckList[]): CheckList | undefined {
  const passed = ({ checks }: CheckList) =>
    checks.filter(({ outcome }) => outcome === 'passed').length;
  return verdicts.toSorted((a, b) => passed(b) - passed(a))[0];
}

function appraisalOf(
  list: CheckList,
  identityCode: string | undefined,
  claims: EvidenceClaims | AzureCvmClaims | TokenEvidenceClaims,
): Appraisal {
  const failed = list.checks.find(({ outcome }) => outcome === 'failed');
  const findings = [...factsOf(claims), ...(claims.simulated ? ['simulated'] : [])];
  if (failed === undefined) return { ok: true, checks: list.checks, findings };
  // A refusal of the hardware comes before one of the code.
  const hardware = list.checks.find(
    ({ check, outcome }) => outcome === 'failed' && check.startsWith('hardware: '),
  );
  const code = hardware?.code ?? identityCode ?? failed.code ?? 'refused';
  return { ok: false, code, checks: list.checks, findings };
}

/** The facts that a default policy refuses; a token has only that of debugging. */
function factsOf(claims: EvidenceClaims | AzureCvmClaims | TokenEvidenceClaims): readonly string[] {
  const isEvidence = !('type' in claims) && claims.tee !== 'azure-cvm';
  if (isEvidence) return findingsOf(claims);
  return claims.debug ? ['debug'] : [];
}
