import { appraise } from '../appraisal/appraise.ts';
import { appraiseTdAttributes } from '../appraisal/attributes.ts';
import type { HclClaims } from '../azure-hcl/verify-hcl-report.ts';
import { CheckList } from '../check-list.ts';
import type { EvidenceClaims } from '../claims.ts';
import type { TokenEvidenceClaims } from '../token/claims-of-token.ts';
import type { Appraisal, Check } from '../verification.ts';
import { checkIdentity, type IdentityClaims } from './identity-checks.ts';
import { ACCEPTABLE_TCB } from './parse-identity.ts';
import type { Manifest } from './manifest.ts';

/** CXL_ALLOW (spec/evidence.md 9.4): memory of the guest may lie outside the processor's reach. */
const REFUSED_GUEST_POLICY = 1n << 21n;

/**
 * Whether the manifest admits evidence with these verified claims as this service: the evidence
 * is of the sort that counts, and at least one of the service's identities is met in every
 * predicate. All predicates of all identities are listed. A confidential VM of Azure is judged by
 * what its processor says of the paravisor, then by what the paravisor says of it.
 */
export function admit(
  manifest: Manifest,
  service: string,
  claims: EvidenceClaims | HclClaims,
): Appraisal {
  const list = new CheckList();
  const { platforms } = manifest.evidence;
  const hardware = claims.tee === 'azure-cvm' ? claims.hardware : claims;
  const findings = appraiseHardware(list, manifest, hardware);
  if (claims.tee === 'azure-cvm') checkVirtualMachine(list, claims);
  if (platforms === 'any') list.skip('hardware: platform', 'any machine of this make');
  else {
    const named = platforms.includes(platformOf(hardware));
    list.expect('hardware: platform', named, 'policy.platform');
  }
  return appraisalOf(list, checkService(list, manifest, service, claims), findings);
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
  const findings = checkSort(list, manifest, claims);
  const { platforms } = manifest.evidence;
  list.expect('hardware: platform', platforms === 'any', 'policy.platform', 'not in a token');
  if (claims.tee === 'snp') {
    list.expect('hardware: not migratable', !claims.migrationAllowed, 'policy.migratable');
    list.expect('hardware: VMPL', claims.vmpl === 0, 'policy.attributes');
  }
  if (claims.tee === 'tdx') {
    const started = new CheckList();
    appraiseTdAttributes(started, claims);
    list.include(started.checks, 'hardware: ');
  }
  return appraisalOf(list, checkService(list, manifest, service, claims), findings);
}

/** What the default policy refuses is refused; which TCB status counts, each identity says. */
function appraiseHardware(
  list: CheckList,
  { evidence }: Manifest,
  claims: EvidenceClaims,
): readonly string[] {
  const { minTcbEvaluationDataNumber: minEvaluationDataNumber } = evidence;
  const { checks, findings } = appraise(claims, {
    roots: evidence.roots === 'hardware' ? 'hardware' : 'simulated',
    tcb: {
      accepted: ACCEPTABLE_TCB,
      ...(minEvaluationDataNumber === undefined ? {} : { minEvaluationDataNumber }),
    },
    snp: { guestPolicy: { forbidden: REFUSED_GUEST_POLICY } },
  });
  const made = checks.filter(
    ({ check, outcome }) => outcome !== 'skipped' && check !== 'TCB status',
  );
  list.include(made, 'hardware: ');
  return findings;
}

/** Design 2.1, rule 9: a verifier holds one sort of evidence, never both. */
function checkSort(
  list: CheckList,
  { evidence }: Manifest,
  claims: { readonly simulated: boolean; readonly debug: boolean },
): readonly string[] {
  const agreed = claims.simulated === (evidence.roots !== 'hardware');
  list.expect('hardware: sort of evidence', agreed, 'policy.simulated');
  list.expect('hardware: not debuggable', !claims.debug, 'policy.debug');
  return [...(claims.debug ? ['debug'] : []), ...(claims.simulated ? ['simulated'] : [])];
}

/** What the paravisor says of the VM: only with Secure Boot does the vTPM's PCR 7 mean anything. */
function checkVirtualMachine(list: CheckList, { runtime }: HclClaims): void {
  const { vmConfiguration } = runtime;
  const secureBoot = vmConfiguration['secure-boot'] === true;
  list.expect('hardware: Secure Boot', secureBoot, 'policy.secure_boot');
  list.expect('hardware: vTPM', vmConfiguration['tpm-enabled'] === true, 'policy.vtpm');
}

function platformOf(claims: EvidenceClaims): string {
  if (claims.tee !== 'snp') return claims.ppid;
  return claims.chipIdMasked ? '' : claims.chipId;
}

/**
 * Lists the predicates of every identity. Gives the code of a refusal: of what holds for all
 * identities and was listed before, else of the identity that comes nearest.
 */
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
  const common = list.code;
  const verdicts = (agreement?.identity.anyOf ?? []).map((identity) => {
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
  return common ?? (met >= 0 ? undefined : (nearest(verdicts)?.code ?? 'service_unknown'));
}

/** The identity in which most predicates are met: what it lacks says most. */
function nearest(verdicts: readonly CheckList[]): CheckList | undefined {
  return verdicts.toSorted((a, b) => b.passed - a.passed)[0];
}

function appraisalOf(
  list: CheckList,
  code: string | undefined,
  findings: readonly string[],
): Appraisal {
  const { checks } = list;
  return code === undefined
    ? { ok: true, checks, findings }
    : { ok: false, code, checks, findings };
}
