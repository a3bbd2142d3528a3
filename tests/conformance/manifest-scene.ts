/** The next manifest of a local deployment, and who is told of it: for the tests of changes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  manifestId,
  parseManifestFile,
  signManifest,
  type Identity,
  type Manifest,
} from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import type { Deployment } from '../../apps/cli/src/local/deployment.ts';
import { openParties } from '../../apps/cli/src/local/parties.ts';
import { PARTIES, type Party } from '../../apps/cli/src/local/places.ts';

/** The text of the manifest that follows this one, changed and signed by these parties. */
export async function successorOf(
  deployment: Deployment,
  before: Manifest,
  change: (manifest: Manifest) => Manifest,
  signers: readonly Party[] = PARTIES,
): Promise<{ readonly manifest: Manifest; readonly id: string; readonly text: string }> {
  const parties = await openParties(deployment.places.parties);
  const changed = change(before);
  const manifest = {
    ...changed,
    serial: before.serial + 1,
    previous: await manifestId(before),
  };
  const id = await manifestId(manifest);
  const signatures: Record<string, string> = {};
  for (const party of signers)
    signatures[party] = await signManifest(id, party, parties[party].privateKey);
  return { manifest, id, text: JSON.stringify({ manifest, signatures }) };
}

/** The manifest as it is on the disk of a deployment. */
export function agreedNow({ places }: Deployment): Manifest {
  return parseManifestFile(readFileSync(places.manifest, 'utf8')).manifest;
}

/** Hands a manifest to a broker; gives the status of its answer. */
export async function handTo(url: string, text: string, transport: Fetch): Promise<number> {
  const request = new Request(`${url}/v1/manifest`, { method: 'POST', body: text });
  return (await transport(request)).status;
}

/** Hands it to all brokers, which put it in force. */
export async function publish({ urls }: Deployment, text: string, transport: Fetch): Promise<void> {
  for (const url of Object.values(urls.brokers))
    assert.equal(await handTo(url, text, transport), 200);
}

/** A change of the measurements of a service that runs in SGX. */
export function withMeasurements(
  service: string,
  change: (mrenclave: readonly string[]) => readonly string[],
): (manifest: Manifest) => Manifest {
  return (manifest) => {
    const agreed = manifest.services[service] ?? assert.fail(service);
    const anyOf = agreed.identity.anyOf.map((identity): Identity => {
      if (identity.tee !== 'sgx') return identity;
      return { ...identity, mrenclave: change(identity.mrenclave) };
    });
    return {
      ...manifest,
      services: { ...manifest.services, [service]: { ...agreed, identity: { anyOf } } },
    };
  };
}

/** Waits until something is so, and fails with its last word after so many milliseconds. */
export async function until<T>(
  ask: () => Promise<T>,
  isSo: (answer: T) => boolean,
  ms = 30_000,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    if (performance.now() > end) assert.fail(`still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}
