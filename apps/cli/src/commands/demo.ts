import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ImageType } from '@cloister/client';
import { isImageKind } from '@cloister/clinical';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import { drawPhantom } from '../demo/phantom.ts';
import { createHost } from '../demo/cheating-host.ts';
import { refusedToStart, runLine, type DemoImage, type Outcome } from '../demo/run-line.ts';
import type { Step } from '../demo/steps.ts';
import { startDeployment, type Deployment } from '../local/deployment.ts';
import { anyPorts } from '../local/ports.ts';
import { StartError } from '../local/supervisor.ts';
import { TAMPERS, type Tamper } from '../local/tamper.ts';
import { random, readTrust } from '../local-trust.ts';

const HELP = `cloister demo [options]   runs the main job once, end to end, and tells what came of it

  --image <file>    a chest radiograph: PNG, JPEG or DICOM (default: a drawn phantom, labelled so)
  --tamper <what>   one party cheats: ${TAMPERS.join(', ')}
  --redis <address> a Redis to share a cache in: unix:/path, redis://127.0.0.1:6379 (default: none)
  --json            one JSON object on stdout; progress goes to stderr

It starts everything in a folder of its own and ends it again.
Exit codes: 0 done, 2 stopped because somebody is not what was agreed on, 1 the world failed.
`;

const TYPES = { dicom: 'application/dicom', png: 'image/png', jpeg: 'image/jpeg' } as const;

/** `cloister demo`: the scenario's seven steps through the real HTTP interfaces. */
export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      image: { type: 'string' },
      tamper: { type: 'string' },
      redis: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const tamper = TAMPERS.find((known): known is Tamper => known === values.tamper);
  if (values.tamper !== undefined && tamper === undefined) {
    throw new CommandError(`--tamper takes ${TAMPERS.join(', ')}`);
  }
  if (tamper === 'cache-token' && values.redis === undefined) {
    throw new CommandError('--tamper cache-token needs a Redis: name one with --redis');
  }
  const image = readImage(values.image);
  if (values.image === undefined) say('no --image: a drawn phantom is used, not a radiograph');
  const outcome = await runDemo(image, tamper, values.redis);
  if (values.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  else process.stdout.write(describe(outcome));
  return outcome.stopped === undefined ? 0 : 2;
}

async function runDemo(
  image: DemoImage,
  tamper: Tamper | undefined,
  redis: string | undefined,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-demo-'));
  const transport = createHttpClient();
  const stopped = new AbortController();
  const onSignal = () => stopped.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  let deployment: Deployment | undefined;
  try {
    deployment = await startDeployment({
      folder,
      ports: await anyPorts(),
      portal: false,
      redis,
      ...(tamper === undefined ? {} : { tamper }),
      tell: say,
    });
    const [account] = deployment.accounts;
    if (account === undefined) throw new CommandError('the deployment has no account');
    const host = createHost(deployment, transport, tamper);
    const line = {
      ...deployment.urls,
      broker: deployment.urls.brokers.hospital,
      manifest: await readTrust(deployment.places.manifest),
      account,
      transport: host.transport,
      host,
      random,
    };
    const interrupted = new Promise<never>((_, reject) => {
      stopped.signal.addEventListener('abort', () => reject(new CommandError('interrupted')));
    });
    return await Promise.race([interrupted, runLine(line, image, tellStep)]);
  } catch (error) {
    // What its host gave it is not as agreed: the platform does not even start.
    if (error instanceof StartError && tamper !== undefined) return refusedToStart(error, tellStep);
    throw error;
  } finally {
    transport.close();
    await deployment?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function readImage(file: string | undefined): DemoImage {
  if (file === undefined) return { bytes: drawPhantom(), type: 'image/png' };
  const bytes = readFileSync(file);
  const kind = isImageKind(bytes);
  if (kind === undefined) throw new CommandError(`${file} is neither DICOM, PNG nor JPEG`);
  return { bytes, type: TYPES[kind] satisfies ImageType };
}

function describe(outcome: Outcome): string {
  const { stopped, probabilities, finding, reportId, taskStatus } = outcome;
  if (stopped !== undefined) {
    const status = taskStatus === null ? '' : `; the job is ${taskStatus}`;
    return `stopped at ${stopped.step}: ${stopped.reason} (${stopped.code})${status}\n`;
  }
  const scores = Object.entries(probabilities ?? {}).map(([name, p]) => `${name} ${p.toFixed(4)}`);
  return [
    finding === 'pneumonia'
      ? 'AI suggestion, not reviewed: pneumonia'
      : 'No finding above threshold (which is not "normal")',
    `model outputs: ${scores.join(', ')}`,
    `report ${reportId}, job ${taskStatus}, receipt ${outcome.receiptVerified ? 'verified' : 'NOT verified'}`,
    outcome.simulated === true ? 'on SIMULATED hardware\n' : '',
  ].join('\n');
}

function tellStep({ name, ok, ms }: Step): void {
  say(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(16)} ${ms.toFixed(1)} ms`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
