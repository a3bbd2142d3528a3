/** `+text\r\n`. */
export function encodeSimple(text: string): Buffer {
  return Buffer.from(`+${text}\r\n`, 'latin1');
}

/** `-CODE words\r\n`: the words are the gate's own, never what a client sent. */
export function encodeError(text: string): Buffer {
  return Buffer.from(`-${text}\r\n`, 'latin1');
}

/** `:n\r\n`. */
export function encodeInteger(value: number): Buffer {
  return Buffer.from(`:${value}\r\n`, 'latin1');
}

/** A bulk string; null is written as the protocol has it. */
export function encodeBulk(text: string | null, protocol: 2 | 3): Buffer {
  if (text === null) return Buffer.from(protocol === 3 ? '_\r\n' : '$-1\r\n', 'latin1');
  return Buffer.from(`$${Buffer.byteLength(text)}\r\n${text}\r\n`, 'utf8');
}

/** A map: in RESP2 an array of names and values by turns. */
export function encodeMap(
  entries: readonly (readonly [string, string | number | readonly never[]])[],
  protocol: 2 | 3,
): Buffer {
  const head = protocol === 3 ? `%${entries.length}\r\n` : `*${2 * entries.length}\r\n`;
  const parts = entries.map(([name, value]) => {
    const shown =
      typeof value === 'number'
        ? encodeInteger(value)
        : typeof value === 'string'
          ? encodeBulk(value, protocol)
          : Buffer.from('*0\r\n', 'latin1');
    return Buffer.concat([encodeBulk(name, protocol), shown]);
  });
  return Buffer.concat([Buffer.from(head, 'latin1'), ...parts]);
}

/** A request: an array of bulk strings. */
export function encodeRequest(args: readonly string[]): Buffer {
  const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
  return Buffer.from(`*${args.length}\r\n${parts.join('')}`, 'utf8');
}
