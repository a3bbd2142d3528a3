export { AttesterError, type AttesterCode } from './attester-error.ts';
export { createIdentity, type IdentityOptions, type ServiceIdentity } from './identity.ts';
export { measureOwnService } from './measure-own-service.ts';
export { measureService, type MeasureOptions } from './measure-service.ts';
export { openSealedSecrets, type SealedSecretsOptions, type Secrets } from './sealed-secrets.ts';
export {
  createSimulatedAttester,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedIdentity,
} from './simulated-attester.ts';
export { openSimulatedPlatform, type SimulatedMachine } from './simulated-machine.ts';
export { createTlsKey, tlsName, type TlsKey, type TlsKeyOptions } from './tls-key.ts';
