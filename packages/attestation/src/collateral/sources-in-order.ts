import type { CollateralFailure } from './collateral-failure.ts';
import type { Fetched, IntelCollateralSource, SnpEndorsementSource } from './collateral-source.ts';

/**
 * Asks sources one after the other, in the order in which the caller names them: the first that has
 * an answer counts. It is not silent: the answer names its source, and lists why the sources before
 * it did not give one.
 */
export function intelSourcesInOrder(
  sources: readonly IntelCollateralSource[],
): IntelCollateralSource {
  return { name: nameOf(sources), intel: (query) => first(sources, (one) => one.intel(query)) };
}

/** As `intelSourcesInOrder`, for AMD's certificates. */
export function snpSourcesInOrder(sources: readonly SnpEndorsementSource[]): SnpEndorsementSource {
  return { name: nameOf(sources), snp: (query) => first(sources, (one) => one.snp(query)) };
}

async function first<Source, T>(
  sources: readonly Source[],
  ask: (source: Source) => Promise<Fetched<T>>,
): Promise<Fetched<T>> {
  const failures: CollateralFailure[] = [];
  for (const source of sources) {
    const answer = await ask(source);
    if (answer.ok) return { ...answer, failures: [...failures, ...answer.failures] };
    failures.push(...answer.failures);
  }
  return { ok: false, failures };
}

function nameOf(sources: readonly { readonly name: string }[]): string {
  return sources.map(({ name }) => name).join(', ');
}
