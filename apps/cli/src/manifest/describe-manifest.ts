import type {
  Identity,
  Manifest,
  ManifestFile,
  Party,
  SecretAgreement,
  SnpIdentity,
  TdxIdentity,
} from '@cloister/attestation';

/** What a manifest says, in words for whoever has to sign it. */
export function describeManifest({ manifest, signatures }: ManifestFile, id: string): string {
  const { deployment, profile, serial, previous, lease } = manifest;
  const missing = manifest.quorum.update.of.filter((party) => signatures[party] === undefined);
  const { of, min } = manifest.quorum.update;
  return [
    `manifest ${id}`,
    `  deployment ${deployment}, serial ${serial}, profile ${profile}, lease ${lease} s`,
    `  follows ${previous ?? 'nothing: it is the first'}`,
    `  ${min} of ${of.length} must sign: ${of.join(', ')}`,
    `  signed by ${Object.keys(signatures).join(', ') || 'nobody'}${
      missing.length === 0 ? '' : `; missing: ${missing.join(', ')}`
    }`,
    '',
    'parties',
    ...Object.entries(manifest.parties).flatMap(([name, party]) => describeParty(name, party)),
    '',
    'evidence',
    ...describeEvidence(manifest),
    '',
    'services',
    ...Object.entries(manifest.services).flatMap(([name, { identity }]) => [
      `  ${name}${
        identity.anyOf.length > 1
          ? `: any of ${identity.anyOf.length}, as strong as the weakest of them`
          : ''
      }`,
      ...identity.anyOf.flatMap((one) => describeIdentity(one).map((line) => `    ${line}`)),
    ]),
    ...section(
      'models',
      Object.entries(manifest.models ?? {}).flatMap(([name, versions]) =>
        Object.entries(versions).map(([version, { digest }]) => `  ${name} ${version}: ${digest}`),
      ),
    ),
    ...section(
      'secrets',
      Object.entries(manifest.secrets ?? {}).map(([name, secret]) => describeSecret(name, secret)),
    ),
    ...section(
      'counters',
      Object.entries(manifest.counters ?? {}).map(
        ([name, { owner, to }]) => `  ${name}: kept by ${owner}, moved by ${to.join(', ')}`,
      ),
    ),
    ...(manifest.portal === undefined
      ? []
      : ['', 'portal', `  ${manifest.portal.origin}, build ${manifest.portal.build}`]),
    '',
  ].join('\n');
}

/** A party; where it has a vault, what is lost by that as well. */
function describeParty(name: string, { keys, broker, vault }: Party): readonly string[] {
  const count = `${keys.length} key${keys.length === 1 ? '' : 's'}`;
  if (vault !== undefined)
    return [
      `  ${name}: ${count}, the vault ${vault.url} in the place of a broker`,
      ...vault.roots.map((root) => `    vouched for under ${root}`),
      '    no heads: evidence is fresh by the nonce of whoever asks, and a peer that is no longer admitted is cut when its token ends',
      '    no counters: a restored older database shows only by a sealed file of the same machine',
      '    no audit log with proofs, and channel keys that are derived from the tenant key',
      '    to whom keys go may be changed by whoever administers the vault, unless its release policies are immutable',
    ];
  const witness = broker?.witness === undefined ? '' : `, witnessed by ${broker.witness}`;
  const own = broker === undefined ? 'no broker' : `its own broker${witness}`;
  return [`  ${name}: ${count}, ${own}`];
}

function describeSecret(name: string, { owner, type, to, vault }: SecretAgreement): string {
  const line = `  ${name}: ${type}, owned by ${owner}, goes to ${to.join(', ')}`;
  if (vault === undefined) return line;
  const versions = Object.entries(vault.versions).map(([number, id]) => `${number} (${id})`);
  return `${line}; key ${vault.key} of its vault, version ${versions.join(' and ')}`;
}

function describeEvidence({ evidence, issuers }: Manifest): readonly string[] {
  const { roots, platforms } = evidence;
  return [
    roots === 'hardware'
      ? '  hardware, under the roots of its makers'
      : `  SIMULATED: proves nothing against a host (${roots.simulated.join(', ')})`,
    platforms === 'any'
      ? '  any machine of this make'
      : `  only these machines: ${platforms.join(', ')}`,
    ...issuers.map(
      ({ iss, keys, tee }) =>
        `  tokens of ${iss} about ${tee.join(', ')}, by ${keys.length} key(s)`,
    ),
  ];
}

/** The first line says what the code is, the others what else must hold. */
function describeIdentity(identity: Identity): readonly string[] {
  if (identity.tee === 'sgx') {
    const { mrenclave, isvProdId, minIsvSvn } = identity;
    return [`sgx ${mrenclave.join(' or ')}, product ${isvProdId}, version ${minIsvSvn} or newer`];
  }
  if (identity.tee === 'snp') return [describeSnp(identity)];
  if (identity.tee === 'tdx') return [describeTdx(identity)];
  const { paravisor, pcrs, isolation } = identity;
  return [
    `azure-cvm, ${isolation === 'vm' ? 'the whole VM' : 'one pod in its VM'}, Secure Boot on`,
    `  paravisor: ${paravisor.tee === 'snp' ? describeSnp(paravisor) : describeTdx(paravisor)}`,
    ...Object.entries(pcrs).map(([index, value]) => `  PCR ${index} ${value}`),
  ];
}

function describeSnp({ measurement, hostData, product, minTcb }: SnpIdentity): string {
  const { fmc, bootloader, tee, snp, microcode } = minTcb;
  const parts = [...(fmc === undefined ? [] : [fmc]), bootloader, tee, snp, microcode];
  const line = product === undefined ? '' : `, ${product}`;
  return `snp ${measurement.join(' or ')}, host data ${hostData.join(' or ')}${line}, TCB ${parts.join('.')} or newer`;
}

function describeTdx({ mrtd, rtmr, mrConfigId }: TdxIdentity): string {
  const registers = rtmr.map((set) => set.join(' ')).join(' or ');
  return `tdx ${mrtd.join(' or ')}, RTMRs ${registers}, MRCONFIGID ${mrConfigId.join(' or ')}`;
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}
