import {
  partyKeysDigest,
  type Identity,
  type Issuer,
  type Manifest,
  type SgxIdentity,
  type SnpIdentity,
  type TdxIdentity,
  type TokenTee,
} from '@cloister/attestation';
import { encodeBase64url, type JsonObject } from '@cloister/bytes';
import { CommandError } from '../command-error.ts';

/** One condition of the grammar: a claim, an operator, a value. */
type Condition = JsonObject;

const equals = (claim: string, value: string | number | boolean): Condition => ({
  claim,
  // The grammar's booleans are texts.
  equals: typeof value === 'boolean' ? String(value) : value,
});
const atLeast = (claim: string, value: number): Condition => ({ claim, greaterOrEquals: value });

/**
 * The release policy (spec/key-broker.md 2.5) of a key in a vault, as far as its grammar can say what
 * the manifest says: tokens of the issuers, code of the identities, and a manifest that the owner's
 * keys have signed. That it is the one in force, nobody can ask for there.
 */
export async function vaultPolicy(manifest: Manifest, secret: string): Promise<JsonObject> {
  const agreed = manifest.secrets?.[secret];
  const owner = manifest.parties[agreed?.owner ?? ''];
  if (agreed?.vault === undefined || owner === undefined)
    throw new CommandError(`${secret} is in no vault`);
  const signedBy = encodeBase64url(await partyKeysDigest(owner));
  const rules = manifest.issuers.flatMap((issuer) =>
    agreed.to.flatMap((service) =>
      (manifest.services[service]?.identity.anyOf ?? []).flatMap((identity) =>
        conditionsOf(identity, issuer).map((conditions) => ({
          authority: issuer.iss,
          allOf: [
            ...conditions,
            ...(issuer.policyHash === undefined
              ? []
              : [equals('x-ms-policy-hash', issuer.policyHash)]),
            equals('x-ms-runtime.service', service),
            equals('x-ms-runtime.nonce', signedBy),
          ],
        })),
      ),
    ),
  );
  if (rules.length === 0)
    throw new CommandError(`no issuer of the manifest speaks of what ${secret} goes to`);
  return { version: '1.0.0', anyOf: rules };
}

/** What tokens of an issuer must say of an identity: any of these lists, for values have no lists. */
function conditionsOf(identity: Identity, { tee }: Issuer): readonly (readonly Condition[])[] {
  const speaksOf = (...kinds: readonly TokenTee[]): TokenTee | undefined =>
    kinds.find((kind) => tee.includes(kind));
  if (identity.tee === 'sgx') {
    const type = speaksOf('sgx', 'simulated');
    return type === undefined ? [] : sgxConditions(identity, type);
  }
  if (identity.tee === 'snp')
    return speaksOf('sevsnpvm') === undefined ? [] : snpConditions(identity);
  if (identity.tee === 'tdx') return speaksOf('tdxvm') === undefined ? [] : tdxConditions(identity);
  throw new CommandError(
    'tokens say nothing of the registers of an azure-cvm: no release policy can ask for them',
  );
}

function sgxConditions(identity: SgxIdentity, type: TokenTee) {
  const { mrenclave, mrsigner, configId, isvProdId, minIsvSvn } = identity;
  const lists = [
    choice('x-ms-sgx-mrenclave', mrenclave),
    choice('x-ms-sgx-mrsigner', mrsigner),
    choice('x-ms-sgx-config-id', configId),
  ];
  return product(lists).map((chosen) => [
    equals('x-ms-attestation-type', type),
    equals('x-ms-sgx-is-debuggable', false),
    ...chosen,
    equals('x-ms-sgx-product-id', isvProdId),
    atLeast('x-ms-sgx-svn', minIsvSvn),
  ]);
}

function snpConditions({ measurement, hostData, idKeyDigest, minTcb }: SnpIdentity) {
  const lists = [
    choice('x-ms-sevsnpvm-launchmeasurement', measurement),
    choice('x-ms-sevsnpvm-hostdata', hostData),
    choice('x-ms-sevsnpvm-idkeydigest', idKeyDigest),
  ];
  return product(lists).map((chosen) => [
    equals('x-ms-attestation-type', 'sevsnpvm'),
    equals('x-ms-sevsnpvm-is-debuggable', false),
    equals('x-ms-sevsnpvm-migration-allowed', false),
    ...chosen,
    atLeast('x-ms-sevsnpvm-bootloader-svn', minTcb.bootloader),
    atLeast('x-ms-sevsnpvm-tee-svn', minTcb.tee),
    atLeast('x-ms-sevsnpvm-snpfw-svn', minTcb.snp),
    atLeast('x-ms-sevsnpvm-microcode-svn', minTcb.microcode),
  ]);
}

function tdxConditions({ mrtd, rtmr, mrConfigId }: TdxIdentity) {
  return rtmr.flatMap((registers) =>
    product([choice('tdx_mrtd', mrtd), choice('tdx_mrconfigid', mrConfigId)]).map((chosen) => [
      equals('x-ms-attestation-type', 'tdxvm'),
      equals('tdx_td_attributes_debug', false),
      ...chosen,
      ...registers.map((value, index) => equals(`tdx_rtmr${index}`, value)),
    ]),
  );
}

/** A claim that may have any of these values; no condition where none are named. */
function choice(claim: string, values: readonly string[] | undefined): readonly Condition[][] {
  return values === undefined ? [[]] : values.map((value) => [equals(claim, value)]);
}

/** Every way to take one of each. */
function product(lists: readonly (readonly Condition[][])[]): readonly Condition[][] {
  return lists.reduce<Condition[][]>(
    (before, list) => before.flatMap((chosen) => list.map((one) => [...chosen, ...one])),
    [[]],
  );
}
