import type { Bytes } from '@cloister/bytes';

// Browsers have no SHA-3 in WebCrypto (Chromium 156), so X-Wing's two small hashes are ours. Lanes are
// pairs of 32-bit halves: no BigInt, no table indexed by data, so time depends on lengths only.

const ROUNDS = 24;
const ROTATIONS = [
  1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44,
];
const LANES = [
  10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1,
];
const [IOTA_LOW, IOTA_HIGH] = roundConstants();

/** FIPS 202, algorithm 5: the round constants come from an 8-bit shift register. */
function roundConstants(): [Int32Array, Int32Array] {
  const low = new Int32Array(ROUNDS);
  const high = new Int32Array(ROUNDS);
  let register = 1;
  for (let round = 0; round < ROUNDS; round++) {
    for (let j = 0; j < 7; j++) {
      const bit = (1 << j) - 1;
      if (register & 1) {
        if (bit < 32) low[round] = at(low, round) ^ (1 << bit);
        else high[round] = at(high, round) ^ (1 << (bit - 32));
      }
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
  }
  return [low, high];
}

function at(array: Int32Array | readonly number[], index: number): number {
  return array[index] ?? 0;
}

/** Keccak-f[1600] (FIPS 202 section 3) on 25 lanes of two halves, low first. */
function permute(state: Int32Array): void {
  const columns = new Int32Array(10);
  const row = new Int32Array(10);
  for (let round = 0; round < ROUNDS; round++) {
    for (let x = 0; x < 10; x++) {
      columns[x] =
        at(state, x) ^
        at(state, x + 10) ^
        at(state, x + 20) ^
        at(state, x + 30) ^
        at(state, x + 40);
    }
    for (let x = 0; x < 5; x++) {
      const before = 2 * ((x + 4) % 5);
      const after = 2 * ((x + 1) % 5);
      const low = at(columns, after);
      const high = at(columns, after + 1);
      const thetaLow = at(columns, before) ^ ((low << 1) | (high >>> 31));
      const thetaHigh = at(columns, before + 1) ^ ((high << 1) | (low >>> 31));
      for (let lane = 2 * x; lane < 50; lane += 10) {
        state[lane] = at(state, lane) ^ thetaLow;
        state[lane + 1] = at(state, lane + 1) ^ thetaHigh;
      }
    }
    let low = at(state, 2);
    let high = at(state, 3);
    for (let step = 0; step < 24; step++) {
      const lane = 2 * at(LANES, step);
      const by = at(ROTATIONS, step);
      const [a, b] = by < 32 ? [low, high] : [high, low];
      const bits = by % 32;
      const rotatedLow = (a << bits) | (b >>> (32 - bits));
      const rotatedHigh = (b << bits) | (a >>> (32 - bits));
      low = at(state, lane);
      high = at(state, lane + 1);
      state[lane] = rotatedLow;
      state[lane + 1] = rotatedHigh;
    }
    for (let y = 0; y < 50; y += 10) {
      row.set(state.subarray(y, y + 10));
      for (let x = 0; x < 10; x++) {
        state[y + x] = at(row, x) ^ (~at(row, (x + 2) % 10) & at(row, (x + 4) % 10));
      }
    }
    state[0] = at(state, 0) ^ at(IOTA_LOW, round);
    state[1] = at(state, 1) ^ at(IOTA_HIGH, round);
  }
}

/** The sponge of FIPS 202 section 4 with pad10*1; `suffix` holds the domain bits and the first 1. */
function sponge(rate: number, suffix: number, message: Uint8Array, length: number): Bytes {
  const state = new Int32Array(50);
  const padded = new Uint8Array(rate * (Math.floor(message.length / rate) + 1));
  padded.set(message);
  padded[message.length] = suffix;
  padded[padded.length - 1] = (padded.at(-1) ?? 0) ^ 0x80;
  const input = new DataView(padded.buffer);
  for (let block = 0; block < padded.length; block += rate) {
    for (let i = 0; i < rate / 4; i++) {
      state[i] = at(state, i) ^ input.getInt32(block + 4 * i, true);
    }
    permute(state);
  }
  const out = new Uint8Array(length);
  const squeezed = new Uint8Array(rate);
  const view = new DataView(squeezed.buffer);
  for (let done = 0; done < length; done += rate) {
    if (done > 0) permute(state);
    for (let i = 0; i < rate / 4; i++) view.setInt32(4 * i, at(state, i), true);
    out.set(squeezed.subarray(0, Math.min(rate, length - done)), done);
  }
  state.fill(0);
  padded.fill(0);
  squeezed.fill(0);
  return out;
}

/** SHA3-256 (FIPS 202 section 6.1). */
export function sha3Of256(message: Uint8Array): Bytes {
  return sponge(136, 0x06, message, 32);
}

/** The first `length` bytes of SHAKE256 (FIPS 202 section 6.2). */
export function shake256(message: Uint8Array, length: number): Bytes {
  return sponge(136, 0x1f, message, length);
}
