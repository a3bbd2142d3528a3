/** A claim as policies see it (spec/azure-attestation.md 4.2). */
export type ClaimValue = string | number | boolean;

/** Claims by their type. */
export type PolicyClaims = Readonly<Record<string, ClaimValue>>;

/** The Appraisal Policy for Evidence that the operator wrote; it runs after all verification. */
export interface PolicyEngine {
  /** `x-ms-policy-hash` of its text. */
  readonly hash: string;
  /**
   * The claims that the policy issues for these incoming ones. Throws AzureError
   * `PolicyEvaluationError` where it does not permit.
   */
  issueClaims(incoming: PolicyClaims): PolicyClaims | Promise<PolicyClaims>;
}
