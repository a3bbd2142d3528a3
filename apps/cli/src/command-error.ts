/** Thrown when a command cannot go on, with a sentence for the person who called it. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
