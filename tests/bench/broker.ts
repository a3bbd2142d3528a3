/**
 * Release of a key as a service experiences it (issue D: p50 < 15 ms): a real key broker in a
 * process of its own, reached over HTTP on this machine through the channel. Each release is a challenge,
 * fresh evidence over it, a lease that is durable in the broker's log, and the key opened and checked.
 * The broker is verified and its channel opened once, before: as every service that runs has done.
 */
import * as nodeCrypto from 'node:crypto';
import { join } from 'node:path';
import { openSqliteStore } from '@cloister/service';
import { startBroker } from './broker-service.ts';
import type { Report } from './figure.ts';
import { ecdsa } from './public-key-floor.ts';

const RELEASES = 300;
const WARM_UP = 40;

/** Runs the group `broker`. */
export async function run(report: Report): Promise<void> {
  const broker = await startBroker();
  try {
    const query = { name: 'tenant-key', service: 'records', identity: broker.identity };
    const release = async (): Promise<void> => {
      const verdict = await broker.client.fetchSecret(query);
      if (!verdict.ok) throw new RangeError(`a release failed: ${verdict.code}`);
    };
    const floor = openFloor(broker.folder);
    try {
      // In turns: what else the machine does for a while falls on both.
      const times = await inTurns([release, floor.operations, floor.commit]);
      const [all = [], operations = [], commits = []] = times;
      const least = all.map((_, i) => (operations[i] ?? 0) + (commits[i] ?? 0));
      const parts = `public-key operations ${at(operations, 0.5).toFixed(2)} ms + commit ${at(commits, 0.5).toFixed(2)} ms`;
      for (const [name, quantile] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const value = at(all, quantile);
        report({
          name: `release of a key by fresh evidence, ${name}`,
          value,
          unit: 'ms',
          ratio: value / at(least, quantile),
          against: `the floor (${quantile === 0.5 ? parts : name})`,
        });
      }
    } finally {
      await floor.close();
    }
  } finally {
    await broker.stop();
  }
}

/**
 * What no release can do without, by node:crypto and SQLite as they are called plainly: two requests
 * through the channel (X-Wing, both sides), the quote, the two signatures of it that are new, the
 * broker's signature, the key encrypted and decrypted; and one durable commit.
 */
function openFloor(folder: string) {
  const lattice = nodeCrypto.generateKeyPairSync('ml-kem-768');
  const curve = nodeCrypto.generateKeyPairSync('x25519');
  const rsa = nodeCrypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = nodeCrypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const oaep = { oaepHash: 'sha256' };
  const contentKey = nodeCrypto.randomBytes(32);
  const wrapped = nodeCrypto.publicEncrypt({ key: rsa.publicKey, ...oaep }, contentKey);
  // The quote by its key, and the broker's statement: what else is signed was verified before.
  const verifications = ecdsa('P-256', { known: [432, 900] });
  const store = openSqliteStore(join(folder, 'floor.db'));
  let position = 0;
  let hash = new Uint8Array(0);
  const exchangeKeys = (): void => {
    const { ciphertext } = nodeCrypto.encapsulate(lattice.publicKey);
    nodeCrypto.decapsulate(lattice.privateKey, ciphertext);
    const ephemeral = nodeCrypto.generateKeyPairSync('x25519');
    nodeCrypto.diffieHellman({ privateKey: ephemeral.privateKey, publicKey: curve.publicKey });
    nodeCrypto.diffieHellman({ privateKey: curve.privateKey, publicKey: ephemeral.publicKey });
  };
  return {
    operations: (): void => {
      exchangeKeys();
      exchangeKeys();
      nodeCrypto.sign('sha256', contentKey, ec.privateKey);
      nodeCrypto.sign('sha256', contentKey, ec.privateKey);
      if (!verifications.every((operation) => operation())) throw new RangeError('no signature');
      nodeCrypto.publicEncrypt({ key: rsa.publicKey, ...oaep }, contentKey);
      nodeCrypto.privateDecrypt({ key: rsa.privateKey, ...oaep }, wrapped);
    },
    // One entry of the log, its sealed head, and the mark of the request: in one transaction.
    commit: async (): Promise<void> => {
      const after = { position, hash };
      position += 1;
      hash = new Uint8Array(nodeCrypto.randomBytes(32));
      const entry = { position, hash, header: new Uint8Array(0), content: new Uint8Array(400) };
      await store.commit({
        append: { after, entries: [entry] },
        values: [{ key: 'head', version: position - 1, value: new Uint8Array(160) }],
        markers: [{ marker: hash, until: Date.now() + 900_000 }],
      });
    },
    close: () => store.close(),
  };
}

/** Milliseconds of each step in each round. */
async function inTurns(steps: readonly (() => void | Promise<void>)[]): Promise<number[][]> {
  const times = steps.map((): number[] => []);
  for (let round = -WARM_UP; round < RELEASES; round++) {
    for (const [i, step] of steps.entries()) {
      const start = performance.now();
      await step();
      if (round >= 0) times[i]?.push(performance.now() - start);
    }
  }
  return times;
}

function at(values: readonly number[], quantile: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * quantile)] ?? Number.NaN;
}
