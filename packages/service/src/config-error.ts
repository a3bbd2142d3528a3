/** Thrown when a process was started with a configuration that it cannot use. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'bad_config';
  /** Which setting, by name. */
  readonly where: string;

  constructor(where: string, options?: ErrorOptions) {
    super(`configuration: ${where}`, options);
    this.where = where;
  }
}
