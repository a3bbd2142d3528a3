import { canonicalJson, encodeHex, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { sha256, type Jwk } from '@cloister/crypto';
import type { SnpClaims, TcbStatus } from '../claims.ts';

/** What an attestation issuer may speak of: values of `x-ms-attestation-type`. */
export type TokenTee = 'sgx' | 'sevsnpvm' | 'tdxvm' | 'simulated';

/** A party to the agreement: its keys, and its key broker or its vault, where it has one. */
export interface Party {
  readonly keys: readonly Jwk[];
  readonly broker?: { readonly sig: Jwk; readonly witness?: string };
  /** Never beside a broker: a party's secrets have one source. */
  readonly vault?: VaultAgreement;
}

/**
 * A vault that speaks Azure's Secure Key Release (spec/key-broker.md 2.5), in the place of a broker.
 * What it releases says who sent it by certificates: they are the part of design 2.1, rule 6.
 */
export interface VaultAgreement {
  /** An origin: its host name must stand in the certificate that signs a release. */
  readonly url: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the authorities that may vouch for it, lower hex. */
  readonly roots: readonly string[];
}

/** A secret in its owner's vault. No vault tells ours what is newest: the parties agree on versions. */
export interface VaultKey {
  readonly key: string;
  /** The vault's ids of versions by our own numbers; the highest is used for what is new. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Which evidence counts at all (design 2.1, rule 9): of hardware, or under simulated roots. */
export interface EvidenceRules {
  /** `hardware`, or SHA-256 of the SubjectPublicKeyInfo of each simulated root. */
  readonly roots: 'hardware' | { readonly simulated: readonly string[] };
  readonly minTcbEvaluationDataNumber?: number;
  /** `any` machine of this make, or PPIDs, platform instance ids, CHIP_IDs. */
  readonly platforms: 'any' | readonly string[];
}

/** An attestation service whose tokens count, pinned by the thumbprints of its keys. */
export interface Issuer {
  readonly iss: string;
  /** RFC 7638 thumbprints, SHA-256, base64url. */
  readonly keys: readonly string[];
  /** The policy that its tokens must name; only issuers of simulated evidence may lack it. */
  readonly policyHash?: string;
  readonly tee: readonly TokenTee[];
}

/** An SGX enclave: MRENCLAVE fixes the code; the signer only narrows (design 2.1, rule 3). */
export interface SgxIdentity {
  readonly tee: 'sgx';
  readonly mrenclave: readonly string[];
  readonly mrsigner?: readonly string[];
  /** CONFIGID, which whoever loads the enclave chooses; unnamed, it must be zero. */
  readonly configId?: readonly string[];
  /** CONFIGSVN, likewise; unnamed, it must be zero. */
  readonly configSvn?: number;
  readonly isvProdId: number;
  readonly minIsvSvn: number;
  /** UpToDate and SWHardeningNeeded unless told. */
  readonly tcb?: readonly TcbStatus[];
  /** The advisories that may stand open; any where absent. */
  readonly advisories?: readonly string[];
}

/** An AMD SEV-SNP guest. */
export interface SnpIdentity {
  readonly tee: 'snp';
  readonly measurement: readonly string[];
  readonly hostData: readonly string[];
  readonly idKeyDigest?: readonly string[];
  /** The product line that `minTcb` speaks of; unnamed, any: numbers of one mean little in another. */
  readonly product?: SnpClaims['product'];
  /** What firmware must reach as it reports, as it is committed, and as it launched the guest. */
  readonly minTcb: {
    readonly fmc?: number;
    readonly bootloader: number;
    readonly tee: number;
    readonly snp: number;
    readonly microcode: number;
  };
}

/** An Intel trust domain. */
export interface TdxIdentity {
  readonly tee: 'tdx';
  readonly mrtd: readonly string[];
  /** Each item names RTMR0 to RTMR3 of one configuration. */
  readonly rtmr: readonly (readonly string[])[];
  readonly mrConfigId: readonly string[];
  /** MROWNER and MROWNERCONFIG, which the host chooses as well; unnamed, they must be zero. */
  readonly mrOwner?: readonly string[];
  readonly mrOwnerConfig?: readonly string[];
  readonly tcb?: readonly TcbStatus[];
  readonly advisories?: readonly string[];
}

/**
 * A guest of an Azure confidential VM, measured by the PCRs of its vTPM. Registers are worth what
 * the paravisor is worth that keeps them, so the processor's measurement of that is named too.
 */
export interface AzureCvmIdentity {
  readonly tee: 'azure-cvm';
  /** The paravisor, as the processor measured it. */
  readonly paravisor: SnpIdentity | TdxIdentity;
  /** SHA-256 PCRs by their number: `CODE_PCRS`, and others that are to be narrowed. */
  readonly pcrs: Readonly<Record<string, string>>;
  /**
   * Who shares the VM: nobody, for the service is its image; or the containers of one pod. No
   * evidence says which: it is what the parties know of the image that the registers fix.
   */
  readonly isolation: 'vm' | 'pod';
}

/** One identity that a service may have. */
export type Identity = SgxIdentity | SnpIdentity | TdxIdentity | AzureCvmIdentity;

/** What the agreement says of one service. */
export interface ServiceAgreement {
  readonly identity: { readonly anyOf: readonly Identity[] };
  /** From what the parties built what they measured. */
  readonly built?: {
    readonly commit?: string;
    readonly lockfile?: string;
    readonly node?: string;
  };
  readonly config?: {
    readonly identityProvider?: {
      readonly issuer: string;
      readonly keys: readonly string[];
      readonly audience: string;
    };
    readonly auditAnchor?: string;
    readonly kems?: readonly Kem[];
  };
}

/** A key encapsulation of the channel (design 5). */
export type Kem = 'x-wing' | 'x25519' | 'p-256';

/** A model that inference may serve, by the digests of its file and of its contract. */
export interface ModelAgreement {
  readonly digest: string;
  readonly contract: string;
}

/** A secret: whose it is, and which services get it (design 2.1, rule 7). */
export interface SecretAgreement {
  readonly owner: string;
  readonly type: 'aes256' | 'hpke' | 'imported';
  readonly to: readonly string[];
  readonly lifetime?: number;
  /** Where the owner has a vault, and only there. */
  readonly vault?: VaultKey;
}

/** The trust manifest (spec/key-broker.md 5.1): its members are those of the JSON document. */
export interface Manifest {
  readonly apiVersion: 'cloister.dev/v1';
  readonly deployment: string;
  readonly profile: 'production' | 'dev';
  readonly serial: number;
  /** Id of the manifest with the serial before; absent at serial 1. */
  readonly previous?: string;
  /** Seconds. */
  readonly lease: number;
  readonly parties: Readonly<Record<string, Party>>;
  readonly quorum: { readonly update: { readonly of: readonly string[]; readonly min: number } };
  readonly evidence: EvidenceRules;
  readonly issuers: readonly Issuer[];
  readonly services: Readonly<Record<string, ServiceAgreement>>;
  readonly models?: Readonly<Record<string, Readonly<Record<string, ModelAgreement>>>>;
  readonly secrets?: Readonly<Record<string, SecretAgreement>>;
  readonly cache?: { readonly roles: Readonly<Record<string, string>> };
  readonly counters?: Readonly<
    Record<string, { readonly owner: string; readonly to: readonly string[] }>
  >;
  readonly portal?: { readonly origin: string; readonly build: string };
}

/** The one text of a manifest: canonical JSON (RFC 8785). */
export function canonicalManifest(manifest: Manifest): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the interface describes JSON
  return canonicalJson(manifest as unknown as JsonObject);
}

/** The id of a manifest: SHA-256 of its canonical JSON, lower hex. */
export async function manifestId(manifest: Manifest): Promise<string> {
  return encodeHex(await sha256(encodeUtf8(canonicalManifest(manifest))));
}
