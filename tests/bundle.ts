import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown, type Plugin } from 'rolldown';

const ENTRY = 'virtual:entry';
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** One file that a browser could load, and what went into it. */
export interface Bundle {
  readonly code: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  /** How many bytes of the result each source file stands for, the largest first. */
  readonly parts: readonly (readonly [file: string, bytes: number])[];
  /** Modules that are left to be loaded from elsewhere: none, if it is for browsers. */
  readonly imports: readonly string[];
}

/** How to bundle. */
export interface BundleOptions {
  readonly minify?: boolean;
  readonly format?: 'es' | 'iife';
  /** The global of an `iife`. */
  readonly name?: string;
  /** Drops every module of which nothing is used; else what its package.json says decides. */
  readonly assumePure?: boolean;
}

/** Bundles, minified, what a module with this text needs; sources as they are in the repository. */
export async function bundleForBrowser(
  entry: string,
  options: BundleOptions = {},
): Promise<Bundle> {
  const { minify = true, format = 'es', name, assumePure = false } = options;
  const builtins = new Set(builtinModules.flatMap((module) => [module, `node:${module}`]));
  const build = await rolldown({
    input: ENTRY,
    cwd: ROOT,
    platform: 'browser',
    // What Node alone has stays visible.
    external: (id) => builtins.has(id),
    ...(assumePure ? { treeshake: { moduleSideEffects: (id: string) => id === ENTRY } } : {}),
    resolve: { conditionNames: ['@cloister/source', 'browser', 'import', 'default'] },
    plugins: [entryPlugin(entry)],
    logLevel: 'silent',
  });
  const { output } = await build.generate({
    format,
    minify,
    ...(name === undefined ? {} : { name }),
  });
  await build.close();
  const [chunk, ...more] = output;
  if (more.length > 0) throw new RangeError('more than one file');
  const parts = Object.entries(chunk.modules).map(
    ([file, { renderedLength }]) => [file.replace(ROOT, ''), renderedLength] as const,
  );
  return {
    code: chunk.code,
    bytes: Buffer.byteLength(chunk.code),
    gzipBytes: gzipSync(chunk.code, { level: 9 }).length,
    parts: parts.filter(([, size]) => size > 0).toSorted((a, b) => b[1] - a[1]),
    // Those too that nothing uses are listed there; what counts is what the code loads.
    imports: [...chunk.imports, ...chunk.dynamicImports].filter((id) => chunk.code.includes(id)),
  };
}

function entryPlugin(text: string): Plugin {
  return {
    name: 'entry',
    resolveId: (id) => (id === ENTRY ? id : null),
    load: (id) => (id === ENTRY ? { code: text, moduleType: 'ts' } : null),
  };
}
