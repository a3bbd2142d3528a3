/** A command of the program: takes what stands behind its name, gives the exit code. */
export interface Command {
  run(args: readonly string[]): Promise<number>;
}

/** Every command by its name; each is loaded when it is called. */
export const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['up', () => import('./commands/up.ts')],
  ['service', () => import('./commands/service.ts')],
  ['demo', () => import('./commands/demo.ts')],
  ['verify', () => import('./commands/verify.ts')],
  ['quote', () => import('./commands/quote.ts')],
  ['collateral', () => import('./commands/collateral.ts')],
  ['policy', () => import('./commands/policy.ts')],
  ['portal', () => import('./commands/portal.ts')],
  ['manifest', () => import('./commands/manifest.ts')],
  ['broker', () => import('./commands/broker.ts')],
  ['vectors', () => import('./commands/vectors.ts')],
]);

/** What `cloister help` prints. */
export const HELP = `cloister: use a medical platform and an AI provider without having to trust them

  cloister up [--data <folder>] [--port <n>]     run the whole platform here, on simulated hardware
  cloister demo [--image <file>] [--json]        run the main job once, end to end, and tell what came of it
                [--tamper <how>] [--redis <place>]
  cloister service <name> --port <n> …           run one service alone (attestation, key-broker, cache, inference, records)
  cloister verify <url|file> …                   verify the evidence of a running service, or of a file
  cloister quote inspect <file> [--json]         show what stands in evidence, field by field
  cloister collateral fetch|inspect …            make an offline bundle of collateral, and check one
  cloister policy check|explain <file> …         read an attestation policy; which rule fires, and why
  cloister portal verify <url>                    is that portal the build that was agreed on?
  cloister manifest <action> …                   draw up, sign, compare and verify the trust manifest
  cloister broker <action> <url> …               a party's people and their key broker: state, secrets, log
  cloister vectors <manifest.json> [--json]      verify a manifest of test evidence, one line per entry

Each command explains its options with --help. Exit codes: 0 done, 1 the world failed, 2 refused, 64 wrong use.
`;
