import { createContext, use, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { VerifiedPeer } from '@cloister/attestation';
import { ChannelError } from '@cloister/channel';
import type { GateReport } from '../trust/gate-report.ts';
import { keptManifests } from '../trust/kept-manifests.ts';
import type { Pins } from '../trust/pins.ts';
import { checkingReport, runGate, type GateMemory, type GateResult } from '../trust/run-gate.ts';
import { standingAfter, type Standing } from '../trust/standing.ts';
import { browserNow, browserRandom, browserTransport, loadSettings } from './browser-means.ts';
import { openConnection, type Connection } from './connection.ts';

/** The trust gate's state, and the connection once somebody went through it. */
export interface Portal {
  readonly report: GateReport;
  /** Why nothing that is entered is sent now (a code); it is kept until the platform is verified again. */
  readonly stopped?: string;
  readonly renewed?: Standing['renewed'];
  /** Whether the gate is at work now, with an earlier report still standing. */
  readonly checking: boolean;
  /** Runs the gate again. */
  readonly check: () => void;
  /** Goes through the gate; does nothing unless it passed. */
  readonly enter: () => void;
  readonly connection?: Connection;
}

/** How often the platform is verified again while the portal is open, and while nothing may be sent. */
const AGAIN_MS = 5 * 60_000;
const STOPPED_AGAIN_MS = 15_000;
/** How often the hospital's broker is asked for its newest head (design 2.1, rule 8). */
const HEADS_MS = 60_000;

/** The portal's trust, for every part of the page. */
export const PortalContext = createContext<Portal | undefined>(undefined);

/** The portal's trust; only below `PortalContext`. */
export function usePortal(): Portal {
  const portal = use(PortalContext);
  if (portal === undefined) throw new TypeError('outside PortalContext');
  return portal;
}

const kept = keptManifests();

/**
 * Runs the gate at start, every five minutes, when the service changes its keys, and when the head of
 * the hospital's broker, asked for every minute, does not confirm the agreement.
 */
export function usePortalState(pins: Pins | undefined): Portal {
  const [standing, setStanding] = useState<Standing>(() => ({
    report: checkingReport(browserNow()),
  }));
  const [checking, setChecking] = useState(true);
  const [connection, setConnection] = useState<Connection>();
  const memory = useRef<GateMemory>({});
  const latest = useRef<GateResult>(undefined);
  const running = useRef<Promise<GateResult>>(undefined);
  const now = useRef(standing);
  const opened = useRef<Connection>(undefined);

  const take = useCallback((result: GateResult): GateResult => {
    const { report, manifest } = result;
    const next = standingAfter(now.current, report, opened.current !== undefined);
    if (report.state === 'passed' || next !== now.current) latest.current = result;
    now.current = next;
    setStanding(next);
    if (report.peer !== undefined && manifest !== undefined)
      opened.current?.renew({ peer: report.peer, manifest });
    else if (next.report.state !== 'passed') opened.current?.breakOff();
    return result;
  }, []);

  const run = useCallback((): Promise<GateResult> => {
    setChecking(true);
    const means = {
      pins,
      loadSettings,
      kept,
      transport: browserTransport,
      now: browserNow,
      random: browserRandom,
    };
    running.current ??= runGate(means, memory.current)
      .then(take)
      .finally(() => {
        running.current = undefined;
        setChecking(false);
      });
    return running.current;
  }, [pins, take]);

  /** A newer head only moves its time; one that does not confirm the agreement has everything checked. */
  const askHead = useCallback(async (): Promise<void> => {
    const heads = await memory.current.watch?.take();
    if (heads === undefined) return;
    const { report } = now.current;
    const changed = report.manifest?.id !== memory.current.follower?.trust.id;
    if (heads.failed !== undefined || changed) await run();
    else if (heads.newest !== undefined && report.state === 'passed') {
      const next = { ...report, head: heads.newest };
      now.current = { ...now.current, report: next, passed: next };
      setStanding(now.current);
    }
  }, [run]);

  const { stopped } = standing;
  useEffect(() => {
    void run();
  }, [run]);
  useEffect(() => {
    const again = setInterval(
      () => void run(),
      stopped === undefined ? AGAIN_MS : STOPPED_AGAIN_MS,
    );
    const heads = setInterval(() => void askHead(), HEADS_MS);
    return () => {
      clearInterval(again);
      clearInterval(heads);
    };
  }, [run, askHead, stopped]);

  const enter = useCallback(() => {
    const { report: passed, settings, manifest } = latest.current ?? {};
    if (passed?.peer === undefined || settings === undefined || manifest === undefined) return;
    const verifyAgain = async (): Promise<VerifiedPeer> => {
      const { report: next } = await run();
      if (next.peer === undefined) throw new ChannelError('stale_key');
      return next.peer;
    };
    opened.current = openConnection({
      peer: passed.peer,
      manifest,
      url: settings.records,
      transport: browserTransport,
      now: browserNow,
      random: browserRandom,
      verifyAgain,
      stopped() {
        if (now.current.report.state === 'passed') return undefined;
        return now.current.stopped === undefined ? 'all' : 'input';
      },
    });
    setConnection(opened.current);
  }, [run]);

  return useMemo(
    () => ({
      ...standing,
      checking,
      check: () => void run(),
      enter,
      ...(connection === undefined ? {} : { connection }),
    }),
    [standing, checking, run, enter, connection],
  );
}
