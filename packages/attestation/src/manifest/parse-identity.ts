import type { TcbStatus } from '../claims.ts';
import type { Shape } from '../shape.ts';
import { CODE_PCRS, OTHER_PCRS } from './code-pcrs.ts';
import type {
  AzureCvmIdentity,
  Identity,
  SgxIdentity,
  SnpIdentity,
  TdxIdentity,
} from './manifest.ts';

/** Statuses that an identity may accept: all but Revoked. */
export const ACCEPTABLE_TCB: readonly Exclude<TcbStatus, 'Revoked'>[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
];

/** One identity of a service (spec/key-broker.md 5.1); exact measurements are required. */
export function parseIdentity(shape: Shape): Identity {
  const { tee } = shape.object();
  if (tee === 'sgx') return readSgx(shape);
  if (tee === 'snp') return readSnp(shape);
  if (tee === 'tdx') return readTdx(shape);
  return tee === 'azure-cvm' ? readAzureCvm(shape) : shape.fail();
}

function readSgx(shape: Shape): SgxIdentity {
  const members = shape.members(
    ['tee', 'mrenclave', 'isvProdId', 'minIsvSvn'],
    ['mrsigner', 'configId', 'configSvn', 'tcb', 'advisories'],
  );
  const configSvn = members.maybe('configSvn')?.integer(0, 0xffff);
  const mrsigner = members.maybe('mrsigner');
  const configId = members.maybe('configId');
  return {
    tee: 'sgx',
    mrenclave: hexList(members.get('mrenclave'), 32),
    ...(mrsigner === undefined ? {} : { mrsigner: hexList(mrsigner, 32) }),
    ...(configId === undefined ? {} : { configId: hexList(configId, 64) }),
    ...(configSvn === undefined ? {} : { configSvn }),
    isvProdId: members.get('isvProdId').integer(0, 0xffff),
    minIsvSvn: members.get('minIsvSvn').integer(0, 0xffff),
    ...readTcb(members.maybe('tcb'), members.maybe('advisories')),
  };
}

function readSnp(shape: Shape): SnpIdentity {
  const members = shape.members(
    ['tee', 'measurement', 'hostData', 'minTcb'],
    ['idKeyDigest', 'product'],
  );
  const product = members.maybe('product')?.oneOf(['Milan', 'Genoa', 'Turin'] as const);
  const idKeyDigest = members.maybe('idKeyDigest');
  const tcb = members.get('minTcb').members(['bootloader', 'tee', 'snp', 'microcode'], ['fmc']);
  const fmc = tcb.maybe('fmc')?.integer(0, 255);
  return {
    tee: 'snp',
    measurement: hexList(members.get('measurement'), 48),
    hostData: hexList(members.get('hostData'), 32),
    ...(idKeyDigest === undefined ? {} : { idKeyDigest: hexList(idKeyDigest, 48) }),
    ...(product === undefined ? {} : { product }),
    minTcb: {
      ...(fmc === undefined ? {} : { fmc }),
      bootloader: tcb.get('bootloader').integer(0, 255),
      tee: tcb.get('tee').integer(0, 255),
      snp: tcb.get('snp').integer(0, 255),
      microcode: tcb.get('microcode').integer(0, 255),
    },
  };
}

function readTdx(shape: Shape): TdxIdentity {
  const members = shape.members(
    ['tee', 'mrtd', 'rtmr', 'mrConfigId'],
    ['mrOwner', 'mrOwnerConfig', 'tcb', 'advisories'],
  );
  const mrOwner = members.maybe('mrOwner');
  const mrOwnerConfig = members.maybe('mrOwnerConfig');
  return {
    tee: 'tdx',
    mrtd: hexList(members.get('mrtd'), 48),
    rtmr: members
      .get('rtmr')
      .items({ min: 1, max: 64 })
      .map((registers) => registers.items({ min: 4, max: 4 }).map((value) => value.hex(48))),
    mrConfigId: hexList(members.get('mrConfigId'), 48),
    ...(mrOwner === undefined ? {} : { mrOwner: hexList(mrOwner, 48) }),
    ...(mrOwnerConfig === undefined ? {} : { mrOwnerConfig: hexList(mrOwnerConfig, 48) }),
    ...readTcb(members.maybe('tcb'), members.maybe('advisories')),
  };
}

function readAzureCvm(shape: Shape): AzureCvmIdentity {
  const members = shape.members(['tee', 'paravisor', 'pcrs', 'isolation']);
  const pcrs = members.get('pcrs').members(CODE_PCRS, OTHER_PCRS);
  const values = [...CODE_PCRS, ...OTHER_PCRS].map((index) => {
    const value = pcrs.maybe(index)?.hex(32);
    return value === undefined ? [] : [[index, value] as const];
  });
  return {
    tee: 'azure-cvm',
    paravisor: readParavisor(members.get('paravisor')),
    pcrs: Object.fromEntries(values.flat()),
    isolation: members.get('isolation').oneOf(['vm', 'pod']),
  };
}

/** Read as an identity of its own: that of the code under the guest. */
function readParavisor(shape: Shape): SnpIdentity | TdxIdentity {
  const { tee } = shape.object();
  if (tee === 'snp') return readSnp(shape);
  return tee === 'tdx' ? readTdx(shape) : shape.fail();
}

function readTcb(
  tcb: Shape | undefined,
  advisories: Shape | undefined,
): { readonly tcb?: readonly TcbStatus[]; readonly advisories?: readonly string[] } {
  return {
    ...(tcb === undefined
      ? {}
      : { tcb: tcb.distinct((status) => status.oneOf(ACCEPTABLE_TCB), { min: 1 }) }),
    ...(advisories === undefined
      ? {}
      : { advisories: advisories.distinct((id) => id.string(/^INTEL-[A-Z]{2,4}-\d{5}$/u)) }),
  };
}

function hexList(shape: Shape, bytes: number): string[] {
  return shape.distinct((value) => value.hex(bytes), { min: 1, max: 256 });
}
