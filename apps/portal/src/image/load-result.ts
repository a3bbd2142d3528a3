import type {
  FindingView,
  HeatMap,
  ModelView,
  RecordsClient,
  ReportView,
  ResultEvidence,
} from '@cloister/client';

/** All that the result screen shows of a report. */
export interface Result {
  readonly report: ReportView;
  readonly finding: FindingView;
  readonly model: ModelView | undefined;
  readonly evidence: ResultEvidence | undefined;
  /** Only where the score reaches the operating point. */
  readonly heat: HeatMap | undefined;
}

/** Reads a report's result; undefined where the report has no observation. */
export async function loadResult(records: RecordsClient, id: string): Promise<Result | null> {
  const report = await records.readReport(id);
  const [observation] = report.observations;
  if (observation === undefined) return null;
  const [finding, evidence] = await Promise.all([
    records.readFinding(observation),
    records.evidenceOf(id),
  ]);
  const study = finding.study ?? report.studies[0];
  const above = finding.score >= finding.threshold;
  const [model, heat] = await Promise.all([
    finding.device === undefined ? undefined : records.readModel(finding.device),
    above && study !== undefined ? records.heatMap(study, observation) : undefined,
  ]);
  return { report, finding, model, evidence, heat };
}
