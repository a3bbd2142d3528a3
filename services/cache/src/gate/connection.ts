import type { Duplex } from 'node:stream';
import { MalformedError } from '@cloister/bytes';
import { argumentLimit } from '../access/check-request.ts';
import type { CommandSpec } from '../access/command-table.ts';
import { encodeError, encodeRequest } from '../resp/encode.ts';
import { RequestParser } from '../resp/request-parser.ts';
import type { Admission, AdmissionEnd, ConnectionDeps, CutReason } from './gate-deps.ts';
import { Outlet } from './outlet.ts';
import { ReplyRelay } from './reply-relay.ts';
import { Session, type SessionWay } from './session-steps.ts';
import { ANSWERS, ENDED, type Hello, type Login } from './session.ts';
import { letRead, mayShare, type Way } from './way.ts';

/** `fresh` until the login; `busy` while a token is verified; `closing` until replies are out. */
type State = 'fresh' | 'busy' | 'open' | 'closing' | 'closed';

/** One client, and from its login on its own connection to Redis. */
export class Connection {
  readonly #deps: ConnectionDeps;
  readonly #client: Duplex;
  /** SHA-256 of the SPKI of the client's certificate, lower hex. */
  readonly #tls: string | undefined;
  readonly #born: number;
  readonly #parser: RequestParser;
  readonly #session: Session;
  readonly #sessionWay: SessionWay;
  readonly #relay = new ReplyRelay({
    write: (bytes, from, to) => this.#write(bytes, from, to),
    confused: () => this.cut('upstream_confused'),
  });
  readonly #ended: (connection: Connection) => void;
  #state: State = 'fresh';
  #way: Way | undefined;
  /** Whether it leaves the shared way as soon as all replies that are due have come. */
  #isMoving = false;
  #admission: Admission | undefined;
  #strikes = 0;
  /** Bytes of requests that are not whole, as counted for the whole gate. */
  #counted = 0;
  #active: number;
  readonly #toClient: Outlet;
  #closingSince = 0;

  constructor(
    client: Duplex,
    options: {
      readonly deps: ConnectionDeps;
      readonly id: number;
      readonly tls: string | undefined;
      readonly ended: (connection: Connection) => void;
    },
  ) {
    const { deps } = options;
    this.#deps = deps;
    this.#client = client;
    this.#tls = options.tls;
    this.#ended = options.ended;
    this.#born = deps.now();
    this.#active = this.#born;
    this.#parser = new RequestParser(deps.limits.before, argumentLimit);
    this.#session = new Session({
      id: options.id,
      version: deps.version,
      maxSubscriptions: deps.limits.subscriptions,
    });
    const isShared = (): boolean => this.#way?.isShared === true;
    this.#sessionWay = {
      get isShared() {
        return isShared();
      },
      mayTake: (spec) => !this.#isForOwnWay(spec),
    };
    client.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#toClient = new Outlet(client, deps.now, () => this.#settle());
    for (const event of ['end', 'error', 'close']) client.on(event, () => this.cut('ended'));
  }

  /** Whether it has logged in. */
  get isFresh(): boolean {
    return this.#admission === undefined;
  }

  /** Who it is, once it has logged in. */
  get admission(): Admission | undefined {
    return this.#admission;
  }

  /** Lets its admission end sooner. */
  shorten({ expires, ending }: AdmissionEnd): void {
    const admission = this.#admission;
    if (admission !== undefined && expires < admission.expires)
      this.#admission = { ...admission, expires, ending };
  }

  /** Looks at what time has brought: an admission's end, a login that did not come, a stall. */
  sweep(now: number): void {
    const { limits } = this.#deps;
    if (this.#state === 'closed') return;
    if (this.#state === 'closing') {
      if (now - this.#closingSince > limits.closingMs) this.#client.destroy();
    } else if (this.#admission === undefined) {
      if (now - this.#born > limits.loginMs) this.cut('login_timeout');
    } else if (now >= this.#admission.expires) this.cut(this.#admission.ending);
    else if (this.#toClient.isStalled(now, limits.stallMs)) this.cut('slow_reader');
    else if (this.#way?.isStalled(now, limits.stallMs) === true) this.cut('upstream_stalled');
    else if (
      now - this.#active > limits.idleMs &&
      this.#relay.due === 0 &&
      this.#session.subscriptions.size === 0
    )
      this.cut('idle');
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
    let count = 0;
    const flush = (): void => {
      if (from >= 0) this.#send(parser.bytes.subarray(from, to), count);
      from = -1;
      count = 0;
    };
    try {
      while ((this.#state === 'fresh' || this.#state === 'open') && parser.next()) {
        this.#deps.stats.requests += 1;
        if (this.#pass()) {
          if (from < 0) from = parser.start;
          to = parser.end;
          count += 1;
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
      this.#relay.answer(encodeError(`ERR Protocol error: ${error.where}`));
      this.#close('protocol');
    }
    this.#settle();
  }

  /** Whether the present request goes to Redis as it is; counts the reply that is due for it. */
  #pass(): boolean {
    const admission = this.#admission;
    if (this.#state !== 'open' || admission === undefined) return false;
    const spec = this.#session.passes(this.#parser, admission, this.#deps.now());
    if (spec === undefined || this.#isForOwnWay(spec)) return false;
    this.#relay.expectReply();
    return true;
  }

  /** Handles the present request where there is more to it. */
  #handle(): void {
    const step = this.#session.step(this.#parser, {
      admission: this.#admission,
      now: this.#deps.now(),
      way: this.#sessionWay,
    });
    switch (step.kind) {
      case 'forward':
        this.#send(this.#present(), 1);
        this.#relay.expectReply();
        break;
      case 'subscribe':
        this.#send(this.#present(), 1);
        this.#relay.expectConfirmations(step.confirmations, step.subscribed);
        break;
      case 'abort':
        this.#send(encodeRequest(['DISCARD']), 1);
        this.#relay.expectUnseen();
        this.#relay.answer(ANSWERS.aborted);
        break;
      case 'move':
        this.#deps.stats.requests -= 1;
        this.#parser.unread();
        this.#leave();
        break;
      case 'login':
        void this.#logIn(step.login, step.hello);
        break;
      case 'speak':
        this.#speak(step.protocol);
        this.#relay.answer(this.#session.hello());
        break;
      case 'answer':
        this.#relay.answer(step.answer);
        break;
      case 'deny':
        this.#deps.stats.denied(step.denial);
        this.#relay.answer(step.answer);
        break;
      case 'strike':
        this.#strike(step.answer);
        break;
      case 'ended':
        this.#relay.answer(ENDED[step.ending]);
        this.#close(step.ending);
        break;
      case 'quit':
        this.#relay.answer(ANSWERS.ok);
        this.#close('ended');
        break;
      default:
        step satisfies never;
    }
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
        this.#session.name = hello.name ?? this.#session.name;
        const protocol = hello.protocol ?? this.#session.protocol;
        if (before === undefined)
          await this.#open(verdict.admission, protocol, this.#deps.limits.shared > 0);
        else this.#speak(protocol);
        if (this.#is('open'))
          this.#relay.answer(hello.protocol === undefined ? ANSWERS.ok : this.#session.hello());
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#work();
  }

  /** The world failed: what Redis or the issuer of tokens did not give. */
  #fail(error: unknown): void {
    if (this.#is('closed')) return;
    this.#deps.onFault(error);
    this.#relay.answer(ANSWERS.unavailable);
    this.#close('unavailable');
  }

  async #open(admission: Admission, protocol: 2 | 3, shared: boolean): Promise<void> {
    this.#state = 'busy';
    const way = await this.#deps.openWay(admission.role, protocol, {
      shared,
      take: (bytes) => {
        this.#relay.take(bytes);
        if (this.#is('closing')) this.#finish();
        else {
          this.#moveOn();
          this.#settle();
        }
      },
      drained: () => this.#settle(),
      lost: () => this.#lose(),
    });
    // It may have been cut meanwhile: by its end, by the clock, by another manifest.
    if (!this.#is('busy')) {
      way.close();
      return;
    }
    this.#way = way;
    this.#session.protocol = protocol;
    this.#parser.limits = this.#deps.limits.after;
    this.#state = 'open';
  }

  /** Whether the present request has to leave the shared way: by its kind, size or number. */
  #isForOwnWay(spec: CommandSpec): boolean {
    if (this.#way?.isShared !== true) return false;
    const length = this.#parser.end - this.#parser.start;
    return this.#relay.due >= this.#deps.limits.shared || !mayShare(spec, length);
  }

  /** Gets a way of its own when all replies that are due have come; until then nothing is read. */
  #leave(): void {
    this.#state = 'busy';
    this.#isMoving = true;
    this.#moveOn();
  }

  #moveOn(): void {
    const admission = this.#admission;
    if (!this.#isMoving || !this.#is('busy') || this.#relay.due > 0 || admission === undefined)
      return;
    this.#isMoving = false;
    this.#way?.close();
    this.#way = undefined;
    this.#open(admission, this.#session.protocol, false)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#work());
  }

  /** Redis is told of the protocol; its own answer, with its own facts, is not shown. */
  #speak(protocol: 2 | 3): void {
    if (protocol === this.#session.protocol) return;
    this.#session.protocol = protocol;
    this.#send(encodeRequest(['HELLO', String(protocol)]), 1);
    this.#relay.expectUnseen();
  }

  #present(): Buffer {
    return this.#parser.bytes.subarray(this.#parser.start, this.#parser.end);
  }

  #send(requests: Buffer, count: number): void {
    this.#way?.send(requests, count);
  }

  #write(bytes: Buffer, from: number, to: number): void {
    if (this.#state === 'closed') return;
    this.#deps.stats.bytesOut += to - from;
    this.#toClient.write(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
  }

  /** Answers what only somebody without a token does again and again. */
  #strike(answer: Buffer): void {
    this.#relay.answer(answer);
    this.#strikes += 1;
    if (this.#strikes >= this.#deps.limits.strikes) this.#close('strikes');
  }

  /** Reads on, or not: each side waits for the other, and both for a login. */
  #settle(): void {
    if (this.#state === 'closed') return;
    const grown = this.#count(this.#parser.unparsed);
    if (grown > 0 && this.#deps.stats.unparsed > this.#deps.limits.unparsed) this.cut('memory');
    if (this.#is('closed')) return;
    // Others must not wait for who does not read, and its replies are not to pile up here.
    if (this.#toClient.isFull && this.#way?.isShared === true && this.#state === 'open')
      this.#leave();
    const wait =
      (this.#state !== 'fresh' && this.#state !== 'open') ||
      this.#toClient.isFull ||
      this.#way?.isFull === true ||
      this.#relay.due >= this.#deps.limits.pending;
    letRead(this.#client, !wait);
    this.#way?.letRead(!this.#toClient.isFull);
  }

  /** Counts bytes of requests that are not whole for the whole gate; gives by how many more. */
  #count(unparsed: number): number {
    const change = unparsed - this.#counted;
    this.#counted = unparsed;
    this.#deps.stats.unparsed += change;
    return change;
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
    this.#way?.close();
  }

  /** Redis is gone; where the connection is closing anyway, its last words still go out. */
  #lose(): void {
    if (!this.#is('closing')) this.cut('upstream_lost');
  }

  /** The state now: it changes while a login is awaited, which the compiler does not see. */
  #is(state: State): boolean {
    return this.#state === state;
  }

  /** Ends it now; what is on the way is lost. */
  cut(reason: CutReason): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'closing') this.#deps.stats.cut(reason);
    this.#state = 'closed';
    this.#count(0);
    this.#way?.close();
    this.#client.destroy();
    this.#ended(this);
  }
}
