import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TcbStatus } from '../claims.ts';
import type { ComponentTcbStatus, PlatformTcbStatus } from './tcb-info.ts';
import { adviseRelaunch, convergeTcbStatus } from './tcb-level.ts';

const PLATFORM: readonly PlatformTcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
];

describe('convergeTcbStatus', () => {
  const outOfDate: readonly PlatformTcbStatus[] = [
    'OutOfDate',
    'OutOfDate',
    'OutOfDateConfigurationNeeded',
    'OutOfDateConfigurationNeeded',
    'OutOfDate',
    'OutOfDateConfigurationNeeded',
    'Revoked',
  ];
  const rows: readonly [ComponentTcbStatus, readonly PlatformTcbStatus[]][] = [
    ['UpToDate', PLATFORM],
    ['OutOfDate', outOfDate],
    ['Revoked', PLATFORM.map(() => 'Revoked')],
  ];
  for (const [component, expected] of rows) {
    for (const [i, platform] of PLATFORM.entries()) {
      it(`${platform} with a component ${component} is ${expected[i]}`, () => {
        assert.equal(convergeTcbStatus(platform, ['UpToDate', component]), expected[i]);
        assert.equal(convergeTcbStatus(platform, [component, 'UpToDate']), expected[i]);
      });
    }
  }
  it('is Revoked when one component is Revoked and another out of date', () => {
    assert.equal(convergeTcbStatus('UpToDate', ['OutOfDate', 'Revoked']), 'Revoked');
  });
});

/** The table of spec/evidence.md 7.1, as rules. */
function advised(launch: PlatformTcbStatus, current: PlatformTcbStatus): TcbStatus {
  if (current === 'Revoked') return 'Revoked';
  const outOfDate = ['OutOfDate', 'OutOfDateConfigurationNeeded'];
  if (!outOfDate.includes(launch) || outOfDate.includes(current)) return launch;
  const configuration = launch.includes('Configuration') || current.includes('Configuration');
  return configuration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised';
}

describe('adviseRelaunch', () => {
  for (const launch of PLATFORM) {
    it(`knows what follows from a launch that was ${launch}`, () => {
      for (const current of PLATFORM) {
        assert.equal(adviseRelaunch(launch, current), advised(launch, current), current);
      }
    });
  }
});
