/** Something to climb: each step is seen only from the one before. How many steps an input takes. */
export function decodeStaircase(input: Uint8Array): number {
  if (input[0] !== 0x30) return 0;
  if (input[1] !== 0x82) return 1;
  if (input[2] !== 0x01) return 2;
  if (input[3] !== 0xff) return 3;
  if (input[4] !== 0x5b) return 4;
  return input[5] === 0x7d ? 6 : 5;
}
