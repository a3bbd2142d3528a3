import * as library from '@jmespath-community/jmespath';
import { boundJmesPath, type JmesPath } from '@cloister/attestation';

/** JMESPath for the policies of this process, within their budget. */
export const JMES_PATH: JmesPath = boundJmesPath(library);
