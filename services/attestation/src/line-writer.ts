/**
 * Writes lines together that come in one turn of the event loop: each write to a pipe is a system
 * call that the process waits for.
 */
export function createLineWriter(write: (text: string) => void): (line: string) => void {
  let pending = '';
  const flush = (): void => {
    const text = pending;
    pending = '';
    write(text);
  };
  return (line) => {
    if (pending === '') setImmediate(flush);
    pending += line;
  };
}
