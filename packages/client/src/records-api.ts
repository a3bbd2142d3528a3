import type { Bytes, JsonObject } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import type { EventBatch } from './records-events.ts';
import type {
  FindingView,
  Gender,
  ModelView,
  PatientView,
  ReportView,
  ResultEvidence,
  StudyView,
  TaskView,
} from './records-views.ts';

/** Who is signed in, and until when. */
export interface Session {
  readonly token: string;
  readonly user: {
    readonly name: string;
    readonly role: string;
    readonly practitioner?: string;
  };
  readonly expires: Date;
}

/** What the form of a new patient holds. */
export interface NewPatient {
  readonly family: string;
  readonly given: string;
  readonly gender: Gender;
  /** YYYY-MM-DD. */
  readonly birthDate: string;
  readonly mrn: string;
}

/** The kinds of image that may be uploaded. */
export type ImageType = 'application/dicom' | 'image/png' | 'image/jpeg';

/** What the server answers to an upload. */
export interface StoredImage {
  /** Id of the ImagingStudy. */
  readonly study: string;
  /** SOP instance UID. */
  readonly instance: string;
  /** Which attributes of the image differ from the patient's record. */
  readonly mismatch: readonly string[];
}

/** A grid of 0..1 values that covers the image; only there where the score is above threshold. */
export interface HeatMap {
  readonly width: number;
  readonly height: number;
  readonly values: readonly number[];
}

/**
 * Client of the records service, inside a channel to the verified enclave. What only reads is asked
 * once more where the server saw it as a copy. What writes is never silently done twice: where a
 * failure leaves open whether it took effect, the client finds out, or says `unsure`.
 */
export interface RecordsClient {
  /** Signs in; later calls carry the token. */
  readonly signIn: (user: string, password: string) => Promise<Session>;
  /** The same session over another channel. */
  readonly over: (fetch: Fetch) => RecordsClient;
  /** Ends the session there, and forgets the token here whatever comes of that. */
  readonly signOut: () => Promise<void>;
  /** Asks once more under the condition that nobody has the record number. */
  readonly createPatient: (patient: NewPatient) => Promise<PatientView>;
  readonly searchPatients: (text: string) => Promise<readonly PatientView[]>;
  readonly readPatient: (id: string) => Promise<PatientView>;
  readonly studiesOf: (patient: string) => Promise<readonly StudyView[]>;
  readonly tasksOf: (patient: string) => Promise<readonly TaskView[]>;
  readonly reportsOf: (patient: string) => Promise<readonly ReportView[]>;
  readonly readStudy: (id: string) => Promise<StudyView>;
  /** Sends the image once more: the same image of the same patient is stored once. */
  readonly uploadImage: (
    patient: string,
    image: Uint8Array,
    type: ImageType,
    options?: { readonly signal?: AbortSignal },
  ) => Promise<StoredImage>;
  /** The image as the server renders it: windowed, 8 bits, PNG. */
  readonly rendered: (study: string) => Promise<Bytes>;
  /** The heat map of a finding, or undefined where there is none to show. */
  readonly heatMap: (study: string, observation: string) => Promise<HeatMap | undefined>;
  /**
   * Asks for an analysis; the answer comes by events. Never repeated: where it is open whether the
   * order arrived, one that is not among the `known` tasks of the study is taken for it.
   */
  readonly requestDiagnosis: (
    study: string,
    patient: string,
    known?: readonly string[],
  ) => Promise<TaskView>;
  readonly readTask: (id: string) => Promise<TaskView>;
  readonly readReport: (id: string) => Promise<ReportView>;
  readonly readFinding: (id: string) => Promise<FindingView>;
  readonly readModel: (id: string) => Promise<ModelView>;
  /** The evidence of a report: from the Provenance that targets it. */
  readonly evidenceOf: (report: string) => Promise<ResultEvidence | undefined>;
  /** Waits up to `wait` seconds for events after `cursor`, in one whole answer. */
  readonly events: (cursor: number, wait: number, signal?: AbortSignal) => Promise<EventBatch>;
  /**
   * The events after `cursor` as they happen: a batch, perhaps an empty one, for everything that
   * came. Ends where the server ends it; throws where it was cut off. What came before counts: go on
   * from the last cursor.
   */
  readonly eventStream: (
    cursor: number,
    signal: AbortSignal,
  ) => AsyncGenerator<EventBatch, void, void>;
  /** Any resource as it is stored. */
  readonly read: (type: string, id: string) => Promise<JsonObject>;
  /** The resources that a search matched (its first page). */
  readonly search: (
    type: string,
    params: Readonly<Record<string, string>>,
  ) => Promise<readonly JsonObject[]>;
}
