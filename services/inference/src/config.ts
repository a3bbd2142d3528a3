import * as v from 'valibot';
import { brokersSetting, integerSetting, pathSetting, serviceSettings } from '@cloister/service';

/** Settings of the inference service: addresses, sizes and places only (design 2.1, rule 1). */
export const configSchema = v.strictObject({
  ...serviceSettings,
  /** The folder of sealed models: `<name>/<version>/model.sealed` and `contract.json`. */
  modelStore: v.optional(pathSetting()),
  /** The key brokers: `hospital=<url>,diagnostics=<url>`. The manifest decides about trust. */
  brokers: v.optional(brokersSetting()),
  /** How many worker threads run ONNX sessions; half the processors unless told. */
  workers: v.optional(integerSetting(1, 64)),
});
