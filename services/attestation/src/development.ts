/**
 * The development entry point: `--development`. It adds options for tests, which weaken checks, and
 * says at start which are in force. Bundles for production are made without this file.
 */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import type { TcbStatus } from '@cloister/attestation';
import { ConfigError, integerSetting, loadConfig, switchSetting } from '@cloister/service';
import { configSchema } from './config.ts';
import { anybody, holderOf } from './management/authorize.ts';
import { runService, type Overrides } from './run-service.ts';

/** Never `Revoked`: no option lets that pass. */
const TCB_STATUSES: readonly TcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
];

/** What is understood besides the settings of production. */
export const developmentSchema = v.strictObject({
  ...configSchema.entries,
  development: switchSetting(),
  /** Unix seconds at which evidence and collateral are judged; tokens are dated by the clock. */
  verificationTime: v.optional(integerSetting(0, 253_402_300_799)),
  permitDebugEvidence: v.optional(switchSetting(), false),
  acceptTcb: v.optional(v.string()),
  managementToken: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(4096))),
});

/**
 * Reads the options and runs the service with them. `main.ts` finds it by a name made at run time.
 * @public
 */
export async function runDevelopment(args: readonly string[]): Promise<void> {
  const {
    development: _,
    verificationTime,
    permitDebugEvidence,
    acceptTcb,
    managementToken,
    ...config
  } = await loadConfig(developmentSchema, {
    env: process.env,
    args,
    readFile: (path) => readFile(path, 'utf8'),
  });
  const accepted = acceptTcb === undefined ? undefined : parseStatuses(acceptTcb);
  const authorize = authorizerOf(managementToken, config.managementIssuer);
  process.stderr.write(
    announce({ verificationTime, permitDebugEvidence, accepted, managementToken, config }),
  );
  await runService(config, {
    ...(verificationTime === undefined
      ? {}
      : { verificationTime: new Date(verificationTime * 1000) }),
    appraisal: {
      ...(permitDebugEvidence ? { allowDebug: true } : {}),
      ...(accepted === undefined ? {} : { tcb: { accepted } }),
    },
    ...authorize,
    announcement: {
      pinned: verificationTime !== undefined,
      debugEvidence: permitDebugEvidence,
      openManagement: authorize.authorize === anybody,
    },
  });
}

function authorizerOf(
  token: string | undefined,
  issuer: string | undefined,
): Pick<Overrides, 'authorize'> {
  if (token !== undefined) return { authorize: holderOf(token) };
  return issuer === undefined ? { authorize: anybody } : {};
}

function parseStatuses(text: string): TcbStatus[] {
  return text.split(',').map((name) => {
    const status = TCB_STATUSES.find((known) => known === name.trim());
    if (status === undefined)
      throw new ConfigError(`acceptTcb: ${TCB_STATUSES.join(', ')}, separated by commas`);
    return status;
  });
}

interface Announced {
  readonly verificationTime: number | undefined;
  readonly permitDebugEvidence: boolean;
  readonly accepted: readonly TcbStatus[] | undefined;
  readonly managementToken: string | undefined;
  readonly config: {
    readonly managementIssuer?: string | undefined;
    readonly isolated?: string | undefined;
  };
}

function announce(options: Announced): string {
  const { verificationTime, permitDebugEvidence, accepted, managementToken, config } = options;
  const pinned =
    verificationTime === undefined
      ? 'the clock’s'
      : `pinned to ${new Date(verificationTime * 1000).toISOString()}`;
  const managers =
    managementToken === undefined
      ? config.managementIssuer === undefined
        ? 'ANYBODY'
        : 'whom the identity provider names'
      : 'whoever has the token';
  return [
    'DEVELOPMENT: this instance weakens its checks for tests; its tokens prove nothing.',
    `  verification time   ${pinned}`,
    `  debug evidence      ${permitDebugEvidence ? 'PERMITTED' : 'refused'}`,
    `  TCB statuses        ${accepted === undefined ? 'as in production' : accepted.join(', ')}`,
    `  policies            ${config.isolated === undefined ? 'open: signed by anyone, or not at all' : 'isolated: signed by the certificates named'}`,
    `  management          ${managers}`,
    '',
  ].join('\n');
}
