/** The kinds of evidence that are verified, as they stand in the paths of Azure Attestation. */
export const ATTEST_KINDS = [
  'SgxEnclave',
  'OpenEnclave',
  'SevSnpVm',
  'TdxVm',
  'Simulated',
] as const;

/** One of them. */
export type AttestKind = (typeof ATTEST_KINDS)[number];

/** What of a kind's request and policy is particular to it (spec/azure-attestation.md 1.3). */
interface KindTraits {
  /** The member of the request that holds the evidence. */
  readonly member: 'quote' | 'report';
  /** Whether requests may bring a draft policy. */
  readonly draft: boolean;
}

/** The traits of each kind. */
export const KIND_TRAITS: Readonly<Record<AttestKind, KindTraits>> = {
  SgxEnclave: { member: 'quote', draft: true },
  OpenEnclave: { member: 'report', draft: true },
  SevSnpVm: { member: 'report', draft: true },
  TdxVm: { member: 'quote', draft: false },
  Simulated: { member: 'quote', draft: true },
};

/** What policies are for. AzureGuest and Tpm have policies, though nothing is attested by them. */
export const POLICY_TYPES = [...ATTEST_KINDS, 'AzureGuest', 'Tpm'] as const;

/** One of them. */
export type PolicyType = (typeof POLICY_TYPES)[number];
