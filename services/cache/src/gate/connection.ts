import type { Duplex } from 'node:stream';
import { MalformedError } from '@cloister/bytes';
import { argumentLimit, checkRequest, lookUp, type Denial } from '../access/check-request.ts';
import type { CommandSpec } from '../access/command-table.ts';
import { encodeError, encodeRequest } from '../resp/encode.ts';
import { RequestParser } from '../resp/request-parser.ts';
import type { Admission, CutReason, GateDeps } from './gate-deps.ts';
import { Outlet } from './outlet.ts';
import { ReplyRelay } from './reply-relay.ts';
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
import { Subscriptions } from './subscriptions.ts';
import { Transaction } from './transaction.ts';

/** `fresh` until the login; `busy` while a token is verified; `closing` until replies are out. */
type State = 'fresh' | 'busy' | 'open' | 'closing' | 'closed';

/** One client, and from its login on its own connection to Redis. */
export class Connection {
  readonly #deps: GateDeps;
  readonly #client: Duplex;
  /** SHA-256 of the SPKI of the client's certificate, lower hex. */
  readonly #tls: string | undefined;
  readonly #id: number;
  readonly #born: number;
  readonly #parser: RequestParser;
  readonly #relay = new ReplyRelay({
    write: (bytes, from, to) => this.#write(bytes, from, to),
    confused: () => this.#cut('upstream_confused'),
  });
  readonly #subscriptions = new Subscriptions();
  readonly #ended: (connection: Connection) => void;
  #state: State = 'fresh';
  #upstream: Duplex | undefined;
  #admission: Admission | undefined;
  #protocol: 2 | 3 = 2;
  #name = '';
  #strikes = 0;
  readonly #transaction = new Transaction();
  /** Bytes of requests that are not whole, as counted for the whole gate. */
  #counted = 0;
  #active: number;
  readonly #toClient: Outlet;
  #toUpstream: Outlet | undefined;
  #closingSince = 0;

  constructor(
    client: Duplex,
    options: {
      readonly deps: GateDeps;
      readonly id: number;
      readonly tls: string | undefined;
      readonly ended: (connection: Connection) => void;
    },
  ) {
    const { deps } = options;
    this.#deps = deps;
    this.#client = client;
    this.#id = options.id;
    this.#tls = options.tls;
    this.#ended = options.ended;
    this.#born = deps.now();
    this.#active = this.#born;
    this.#parser = new RequestParser(deps.limits.before, argumentLimit);
    client.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#toClient = new Outlet(client, deps.now, () => this.#settle());
    for (const event of ['end', 'error', 'close']) client.on(event, () => this.#cut('ended'));
  }

  /** Whether it has logged in. */
  get isFresh(): boolean {
    return this.#admission === undefined;
  }

  /** Who it is, once it has logged in. */
  get admission(): Admission | undefined {
    return this.#admission;
  }

  /** Ends it now; what is on the way is lost. */
  cut(reason: CutReason): void {
    this.#cut(reason);
  }

  /** Lets its admission end sooner. */
  shorten(expires: number): void {
    const admission = this.#admission;
    if (admission !== undefined && expires < admission.expires)
      this.#admission = { ...admission, expires };
  }

  /** Looks at what time has brought: an expired token, a login that did not come, a stall. */
  sweep(now: number): void {
    const { limits } = this.#deps;
    if (this.#state === 'closed') return;
    if (this.#state === 'closing') {
      if (now - this.#closingSince > limits.closingMs) this.#client.destroy();
    } else if (this.#admission === undefined) {
      if (now - this.#born > limits.loginMs) this.#cut('login_timeout');
    } else if (now >= this.#admission.expires) this.#expire();
    else if (this.#toClient.isStalled(now, limits.stallMs)) this.#cut('slow_reader');
    else if (this.#toUpstream?.isStalled(now, limits.stallMs) === true)
      this.#cut('upstream_stalled');
    else if (
      now - this.#active > limits.idleMs &&
      this.#relay.due === 0 &&
      this.#subscriptions.size === 0
    )
      this.#cut('idle');
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#deps.stats.bytesIn += chunk.length;
    this.#active = this.#deps.now();
    this.#parser.push(chunk);
    this.#work();
  }

  /** Handles the requests that are whole; runs of allowed ones go to Redis in one write. */
  #work(): void {
    const parser = this.#parser;
    // The present run: from where to where in the parser's buffer.
    let from = -1;
    let to = -1;
    const flush = (): void => {
      if (from >= 0) this.#send(parser.bytes.subarray(from, to));
      from = -1;
    };
    try {
      while ((this.#state === 'fresh' || this.#state === 'open') && parser.next()) {
        this.#deps.stats.requests += 1;
        if (this.#pass()) {
          if (from < 0) from = parser.start;
          to = parser.end;
          continue;
        }
        flush();
        this.#handle();
      }
      flush();
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      flush();
      this.#deps.stats.denied('protocol');
      this.#answer(encodeError(`ERR Protocol error: ${error.where}`));
      this.#close('protocol');
    }
    this.#settle();
  }

  /** Whether the present request goes to Redis as it is; counts the reply that is due for it. */
  #pass(): boolean {
    const admission = this.#admission;
    if (this.#state !== 'open' || admission === undefined) return false;
    if (this.#deps.now() >= admission.expires) return false;
    const spec = lookUp(this.#parser);
    if (spec === undefined || typeof spec === 'string') return false;
    if (checkRequest(admission.role, spec, this.#parser) !== undefined) return false;
    if (spec.categories.has('pubsub') || spec.categories.has('transaction')) return false;
    if (this.#subscriptions.size > 0 && this.#protocol === 2 && spec.name !== 'ping') return false;
    this.#relay.expectReply();
    return true;
  }

  /** Handles the present request where there is more to it. */
  #handle(): void {
    const command = lookUp(this.#parser);
    const admission = this.#admission;
    if (admission === undefined) {
      if (command === 'auth') this.#auth();
      else if (command === 'hello') this.#hello();
      else if (command === 'quit') this.#quit();
      else this.#strike(ANSWERS.noAuth);
      return;
    }
    if (this.#deps.now() >= admission.expires) {
      this.#answer(ANSWERS.expired);
      this.#close('expired');
    } else if (command === 'quit') this.#quit();
    else if (this.#subscriptions.size > 0 && this.#protocol === 2 && !isForSubscribers(command))
      this.#deny(ANSWERS.subscribed, 'arguments');
    else if (command === undefined) this.#deny(encodeDenied('command', this.#parser), 'command');
    else if (typeof command === 'string') {
      if (this.#transaction.isOpen) this.#deny(ANSWERS.notInTransaction, 'arguments');
      else if (command === 'auth') this.#auth();
      else if (command === 'hello') this.#hello();
      else this.#session(command);
    } else {
      const denial = checkRequest(admission.role, command, this.#parser);
      if (denial !== undefined) this.#deny(encodeDenied(denial, this.#parser), denial);
      else if (command.categories.has('transaction')) this.#transact(command);
      else if (command.categories.has('pubsub')) this.#subscribe(command);
      else this.#forward();
    }
  }

  #auth(): void {
    const login = readAuth(this.#parser);
    if (login === undefined) this.#strike(ANSWERS.arguments);
    else void this.#logIn(login, {});
  }

  #hello(): void {
    const hello = readHello(this.#parser);
    if (hello instanceof Uint8Array) this.#strike(hello);
    else if (hello.login !== undefined) void this.#logIn(hello.login, hello);
    else if (this.#admission === undefined) this.#strike(ANSWERS.helloFirst);
    else {
      this.#name = hello.name ?? this.#name;
      this.#speak(hello.protocol ?? this.#protocol);
      this.#answer(encodeHello(this.#facts()));
    }
  }

  #quit(): void {
    this.#answer(ANSWERS.ok);
    this.#close('ended');
  }

  #session(command: 'client' | 'info' | 'select'): void {
    const { answer, name, denial } = answerSession(command, this.#parser, this.#facts());
    this.#name = name ?? this.#name;
    if (denial === undefined) this.#answer(answer);
    else this.#deny(answer, denial);
  }

  /** Requests wait until the token was judged: what is behind a login is done as whom it made. */
  async #logIn(login: Login, hello: Hello): Promise<void> {
    const deps = this.#deps;
    const before = this.#admission;
    this.#state = 'busy';
    try {
      const verdict = await deps.authenticate(login, this.#tls);
      if (!this.#is('busy')) return;
      deps.stats.login(verdict.ok ? 'ok' : verdict.code);
      this.#state = before === undefined ? 'fresh' : 'open';
      if (!verdict.ok) {
        this.#strike(encodeError(`WRONGPASS the token is not accepted: ${verdict.code}`));
      } else if (before !== undefined && before.role.name !== verdict.admission.role.name) {
        this.#strike(ANSWERS.otherRole);
      } else {
        this.#admission = verdict.admission;
        this.#name = hello.name ?? this.#name;
        const protocol = hello.protocol ?? this.#protocol;
        if (before === undefined) await this.#open(verdict.admission, protocol);
        else this.#speak(protocol);
        if (this.#is('open'))
          this.#answer(hello.protocol === undefined ? ANSWERS.ok : encodeHello(this.#facts()));
      }
    } catch (error) {
      if (this.#is('closed')) return;
      deps.onFault(error);
      this.#answer(ANSWERS.unavailable);
      this.#close('unavailable');
    }
    this.#work();
  }

  async #open(admission: Admission, protocol: 2 | 3): Promise<void> {
    this.#state = 'busy';
    const upstream = await this.#deps.openUpstream(admission.role, protocol);
    // It may have been cut meanwhile: by its end, by the clock, by another manifest.
    if (!this.#is('busy')) {
      upstream.destroy();
      return;
    }
    this.#upstream = upstream;
    this.#protocol = protocol;
    this.#parser.limits = this.#deps.limits.after;
    this.#state = 'open';
    upstream.on('data', (chunk: Buffer) => {
      this.#relay.take(chunk);
      if (this.#is('closing')) this.#finish();
      else this.#settle();
    });
    this.#toUpstream = new Outlet(upstream, this.#deps.now, () => this.#settle());
    for (const event of ['end', 'error', 'close']) upstream.on(event, () => this.#lose());
  }

  /** Redis is told of the protocol; its own answer, with its own facts, is not shown. */
  #speak(protocol: 2 | 3): void {
    if (protocol === this.#protocol) return;
    this.#protocol = protocol;
    this.#send(encodeRequest(['HELLO', String(protocol)]));
    this.#relay.expectUnseen();
  }

  #transact(command: CommandSpec): void {
    if (!this.#transaction.follow(command.name)) {
      this.#forward();
      return;
    }
    this.#send(encodeRequest(['DISCARD']));
    this.#relay.expectUnseen();
    this.#answer(ANSWERS.aborted);
  }

  #subscribe(command: CommandSpec): void {
    if (command.name === 'publish') {
      this.#forward();
      return;
    }
    if (this.#transaction.isOpen) {
      this.#deny(ANSWERS.notInTransaction, 'arguments');
      return;
    }
    const names = Array.from({ length: this.#parser.argc - 1 }, (_, i) => this.#parser.text(i + 1));
    const count = this.#subscriptions.change(command.name, names, this.#deps.limits.subscriptions);
    if (count === undefined) {
      this.#deny(ANSWERS.tooManySubscriptions, 'arguments');
      return;
    }
    this.#send(this.#present());
    this.#relay.expectConfirmations(count, this.#subscriptions.size > 0);
  }

  #forward(): void {
    this.#send(this.#present());
    this.#relay.expectReply();
  }

  #present(): Buffer {
    return this.#parser.bytes.subarray(this.#parser.start, this.#parser.end);
  }

  #send(bytes: Buffer): void {
    this.#toUpstream?.write(bytes);
  }

  #write(bytes: Buffer, from: number, to: number): void {
    if (this.#state === 'closed') return;
    this.#deps.stats.bytesOut += to - from;
    this.#toClient.write(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
  }

  #answer(bytes: Buffer): void {
    this.#relay.answer(bytes);
  }

  #deny(answer: Buffer, code: Denial): void {
    this.#deps.stats.denied(code);
    this.#transaction.break();
    this.#answer(answer);
  }

  /** As `deny`, for what only somebody without a token does again and again. */
  #strike(answer: Buffer): void {
    this.#answer(answer);
    this.#strikes += 1;
    if (this.#strikes >= this.#deps.limits.strikes) this.#close('strikes');
  }

  #facts(): SessionFacts {
    const { version } = this.#deps;
    return { id: this.#id, protocol: this.#protocol, name: this.#name, version };
  }

  /** Reads on, or not: each side waits for the other, and both for a login. */
  #settle(): void {
    if (this.#state === 'closed') return;
    const change = this.#parser.unparsed - this.#counted;
    this.#counted += change;
    this.#deps.stats.unparsed += change;
    if (change > 0 && this.#deps.stats.unparsed > this.#deps.limits.unparsed) {
      this.#cut('memory');
      return;
    }
    const wait =
      (this.#state !== 'fresh' && this.#state !== 'open') ||
      this.#toClient.isFull ||
      this.#toUpstream?.isFull === true ||
      this.#relay.due >= this.#deps.limits.pending;
    letRead(this.#client, !wait);
    if (this.#upstream !== undefined) letRead(this.#upstream, !this.#toClient.isFull);
  }

  /** Who waits for nothing is told; replies that are due now are not given any more. */
  #expire(): void {
    if (!this.#relay.isQuiet) {
      this.#cut('expired');
      return;
    }
    this.#answer(ANSWERS.expired);
    this.#close('expired');
  }

  /** Takes no more requests, gives the replies that are due, and ends. */
  #close(reason: CutReason): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#state = 'closing';
    this.#closingSince = this.#deps.now();
    this.#deps.stats.cut(reason);
    this.#client.pause();
    this.#finish();
  }

  #finish(): void {
    if (this.#relay.due > 0) return;
    this.#client.end();
    this.#client.resume();
    this.#upstream?.destroy();
  }

  /** Redis is gone; where the connection is closing anyway, its last words still go out. */
  #lose(): void {
    if (!this.#is('closing')) this.#cut('upstream_lost');
  }

  /** The state now: it changes while a login is awaited, which the compiler does not see. */
  #is(state: State): boolean {
    return this.#state === state;
  }

  #cut(reason: CutReason): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'closing') this.#deps.stats.cut(reason);
    this.#state = 'closed';
    this.#deps.stats.unparsed -= this.#counted;
    this.#counted = 0;
    this.#upstream?.destroy();
    this.#client.destroy();
    this.#ended(this);
  }
}

function letRead(stream: Duplex, reads: boolean): void {
  if (reads !== stream.isPaused()) return;
  if (reads) stream.resume();
  else stream.pause();
}

function isForSubscribers(command: ReturnType<typeof lookUp>): boolean {
  return (
    typeof command === 'object' && (command.name === 'ping' || command.name.endsWith('subscribe'))
  );
}
