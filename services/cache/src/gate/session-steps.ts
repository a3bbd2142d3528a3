import { checkRequest, lookUp, type Denial } from '../access/check-request.ts';
import type { CommandSpec } from '../access/command-table.ts';
import type { RequestParser } from '../resp/request-parser.ts';
import type { Admission, Ending } from './gate-deps.ts';
import {
  ANSWERS,
  answerSession,
  encodeDenied,
  encodeHello,
  readAuth,
  readHello,
  type Hello,
  type Login,
  type SessionFacts,
} from './session.ts';
import { isForSubscribers, Subscriptions } from './subscriptions.ts';
import { Transaction } from './transaction.ts';

/** What is to be done about a request. */
export type Step =
  /** It goes to Redis, whose one reply is the client's. */
  | { readonly kind: 'forward' }
  /** It goes to Redis, which confirms it so many times. */
  | { readonly kind: 'subscribe'; readonly confirmations: number; readonly subscribed: boolean }
  /** It does not go to Redis: what went before it of the same transaction is discarded. */
  | { readonly kind: 'abort' }
  /** It has to wait for a connection of the client's own. */
  | { readonly kind: 'move' }
  | { readonly kind: 'login'; readonly login: Login; readonly hello: Hello }
  /** Redis is told of another protocol. */
  | { readonly kind: 'speak'; readonly protocol: 2 | 3 }
  | { readonly kind: 'answer'; readonly answer: Buffer }
  | { readonly kind: 'deny'; readonly answer: Buffer; readonly denial: Denial }
  /** As `answer`; who gets too many of these is sent away. */
  | { readonly kind: 'strike'; readonly answer: Buffer }
  /** The admission has ended. */
  | { readonly kind: 'ended'; readonly ending: Ending }
  | { readonly kind: 'quit' };

/** What a session has to know of the client's connection to Redis. */
export interface SessionWay {
  readonly isShared: boolean;
  /** Whether the present request may go over it. */
  readonly mayTake: (spec: CommandSpec) => boolean;
}

/** One client's session, without its sockets: what its requests mean, one after the other. */
export class Session {
  readonly subscriptions = new Subscriptions();
  readonly #transaction = new Transaction();
  readonly #id: number;
  readonly #version: string;
  readonly #maxSubscriptions: number;
  protocol: 2 | 3 = 2;
  name = '';

  constructor(facts: {
    readonly id: number;
    readonly version: string;
    readonly maxSubscriptions: number;
  }) {
    this.#id = facts.id;
    this.#version = facts.version;
    this.#maxSubscriptions = facts.maxSubscriptions;
  }

  /** The answer to a HELLO that was granted. */
  hello(): Buffer {
    return encodeHello(this.#facts());
  }

  /** The command of a request that simply goes to Redis; for all else there is `step`. */
  passes(request: RequestParser, admission: Admission, now: number): CommandSpec | undefined {
    if (now >= admission.expires) return undefined;
    const spec = lookUp(request);
    if (spec === undefined || typeof spec === 'string') return undefined;
    if (checkRequest(admission.role, spec, request) !== undefined) return undefined;
    if (spec.categories.has('pubsub') || spec.categories.has('transaction')) return undefined;
    return this.#mustSubscribe(spec) ? undefined : spec;
  }

  /** What is to be done about a request, now that all before it was done. */
  step(
    request: RequestParser,
    context: {
      readonly admission: Admission | undefined;
      readonly now: number;
      readonly way: SessionWay;
    },
  ): Step {
    const { admission, way } = context;
    const command = lookUp(request);
    if (command === 'quit') return { kind: 'quit' };
    if (admission === undefined) {
      if (command === 'auth') return readLogin(request);
      return command === 'hello' ? this.#readHello(request, false, way) : strike(ANSWERS.noAuth);
    }
    if (context.now >= admission.expires) return { kind: 'ended', ending: admission.ending };
    if (this.#mustSubscribe(command)) return this.#deny('arguments', ANSWERS.subscribed);
    if (command === undefined) return this.#deny('command', encodeDenied('command', request));
    if (typeof command !== 'string') {
      const denial = checkRequest(admission.role, command, request);
      if (denial !== undefined) return this.#deny(denial, encodeDenied(denial, request));
      return way.mayTake(command) ? this.#follow(command, request) : { kind: 'move' };
    }
    if (this.#transaction.isOpen) return this.#deny('arguments', ANSWERS.notInTransaction);
    if (command === 'auth') return readLogin(request);
    if (command === 'hello') return this.#readHello(request, true, way);
    const { answer, name, denial } = answerSession(command, request, this.#facts());
    this.name = name ?? this.name;
    return denial === undefined ? { kind: 'answer', answer } : this.#deny(denial, answer);
  }

  /** Follows what an allowed request changes. */
  #follow({ name, categories }: CommandSpec, request: RequestParser): Step {
    if (categories.has('transaction') && this.#transaction.follow(name)) return { kind: 'abort' };
    if (!categories.has('pubsub') || name === 'publish') return { kind: 'forward' };
    if (this.#transaction.isOpen) return this.#deny('arguments', ANSWERS.notInTransaction);
    const names = Array.from({ length: request.argc - 1 }, (_, i) => request.text(i + 1));
    const confirmations = this.subscriptions.change(name, names, this.#maxSubscriptions);
    if (confirmations === undefined) return this.#deny('arguments', ANSWERS.tooManySubscriptions);
    return { kind: 'subscribe', confirmations, subscribed: this.subscriptions.size > 0 };
  }

  #readHello(request: RequestParser, isOpen: boolean, way: SessionWay): Step {
    const hello = readHello(request);
    if (hello instanceof Uint8Array) return strike(hello);
    const { login, protocol = this.protocol } = hello;
    // What others use too stays in its protocol.
    if (isOpen && way.isShared && protocol !== this.protocol) return { kind: 'move' };
    if (login !== undefined) return { kind: 'login', login, hello };
    if (!isOpen) return strike(ANSWERS.helloFirst);
    this.name = hello.name ?? this.name;
    return { kind: 'speak', protocol };
  }

  /** A client of RESP2 that is subscribed may do little else. */
  #mustSubscribe(command: ReturnType<typeof lookUp>): boolean {
    return this.subscriptions.size > 0 && this.protocol === 2 && !isForSubscribers(command);
  }

  #deny(denial: Denial, answer: Buffer): Step {
    this.#transaction.break();
    return { kind: 'deny', answer, denial };
  }

  #facts(): SessionFacts {
    return { id: this.#id, protocol: this.protocol, name: this.name, version: this.#version };
  }
}

function readLogin(request: RequestParser): Step {
  const login = readAuth(request);
  return login === undefined ? strike(ANSWERS.arguments) : { kind: 'login', login, hello: {} };
}

function strike(answer: Buffer): Step {
  return { kind: 'strike', answer };
}
