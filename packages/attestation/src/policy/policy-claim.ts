/** The values that a claim may have (spec/azure-attestation.md 4.2). Integers are safe integers. */
export type ClaimValue = string | number | boolean;

/** The names of their types in policies. */
export type ClaimValueType = 'String' | 'Integer' | 'Boolean';

/** Who says a claim: the service, the policy, or the client. */
export type ClaimIssuer = 'AttestationService' | 'AttestationPolicy' | 'CustomClaim';

/** A claim as policies see it (spec/azure-attestation.md 4.2). */
export interface PolicyClaim {
  readonly type: string;
  readonly value: ClaimValue;
  readonly valueType: ClaimValueType;
  readonly issuer: ClaimIssuer;
  /** May be looked at by conditions and functions, and never be issued (4.4). */
  readonly readOnly: boolean;
}

/** What type a value has. */
export function valueTypeOf(value: ClaimValue): ClaimValueType {
  if (typeof value === 'string') return 'String';
  return typeof value === 'number' ? 'Integer' : 'Boolean';
}

/** A claim by the service about evidence that it verified. */
export function serviceClaim(type: string, value: ClaimValue, readOnly = false): PolicyClaim {
  return { type, value, valueType: valueTypeOf(value), issuer: 'AttestationService', readOnly };
}

/** Whether both say the same of the same: sets of claims hold such a claim once. */
export function isSameClaim(a: PolicyClaim, b: PolicyClaim): boolean {
  return (
    a.type === b.type && a.value === b.value && a.issuer === b.issuer && a.readOnly === b.readOnly
  );
}
