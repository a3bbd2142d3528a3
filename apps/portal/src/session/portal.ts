import { createContext, use, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { VerifiedPeer } from '@cloister/attestation';
import { ChannelError } from '@cloister/channel';
import type { GateReport } from '../trust/gate-report.ts';
import type { Pins } from '../trust/pins.ts';
import { checkingReport, runGate, type GateResult } from '../trust/run-gate.ts';
import { browserNow, browserRandom, browserTransport, loadSettings } from './browser-means.ts';
import { openConnection, type Connection } from './connection.ts';

/** The trust gate's state, and the connection once somebody went through it. */
export interface Portal {
  readonly report: GateReport;
  /** Whether the gate is at work now, with an earlier report still standing. */
  readonly checking: boolean;
  /** Runs the gate again. */
  readonly check: () => void;
  /** Goes through the gate; does nothing unless it passed. */
  readonly enter: () => void;
  readonly connection?: Connection;
}

/** How often the platform is verified again while the portal is open. */
const AGAIN_MS = 5 * 60_000;

/** The portal's trust, for every part of the page. */
export const PortalContext = createContext<Portal | undefined>(undefined);

/** The portal's trust; only below `PortalContext`. */
export function usePortal(): Portal {
  const portal = use(PortalContext);
  if (portal === undefined) throw new TypeError('outside PortalContext');
  return portal;
}

/** Runs the gate at start, every five minutes, and when the service changes its keys. */
export function usePortalState(pins: Pins | undefined): Portal {
  const [report, setReport] = useState<GateReport>(() => checkingReport(browserNow()));
  const [checking, setChecking] = useState(true);
  const [connection, setConnection] = useState<Connection>();
  const latest = useRef<GateResult>(undefined);
  const running = useRef<Promise<GateResult>>(undefined);

  const run = useCallback((): Promise<GateResult> => {
    setChecking(true);
    running.current ??= runGate({
      pins,
      loadSettings,
      transport: browserTransport,
      now: browserNow,
      random: browserRandom,
    })
      .then((result) => {
        latest.current = result;
        setReport((before) => keepsStanding(before, result.report));
        return result;
      })
      .finally(() => {
        running.current = undefined;
        setChecking(false);
      });
    return running.current;
  }, [pins]);

  useEffect(() => {
    void run();
    const timer = setInterval(() => void run(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [run]);

  const enter = useCallback(() => {
    const { report: passed, settings, manifest } = latest.current ?? {};
    if (passed?.peer === undefined || settings === undefined || manifest === undefined) return;
    const verifyAgain = async (): Promise<VerifiedPeer> => {
      const { report: next } = await run();
      if (next.peer === undefined) throw new ChannelError('stale_key');
      return next.peer;
    };
    setConnection(
      openConnection({
        peer: passed.peer,
        manifest,
        url: settings.records,
        transport: browserTransport,
        now: browserNow,
        random: browserRandom,
        verifyAgain,
      }),
    );
  }, [run]);

  return useMemo(
    () => ({
      report,
      checking,
      check: () => void run(),
      enter,
      ...(connection === undefined ? {} : { connection }),
    }),
    [report, checking, run, enter, connection],
  );
}

/**
 * A platform that cannot be reached for a moment stays verified as of then: the chip says since
 * when. One that was refused is out.
 */
function keepsStanding(before: GateReport, next: GateReport): GateReport {
  return before.state === 'passed' && next.state === 'unreachable' ? before : next;
}
