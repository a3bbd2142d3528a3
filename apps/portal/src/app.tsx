import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { i18n } from 'i18next';
import { useMemo, useState } from 'react';
import { I18nProvider, RouterProvider } from 'react-aria-components';
import { I18nextProvider } from 'react-i18next';
import { BrowserRouter, Navigate, Route, Routes, useHref, useNavigate } from 'react-router';
import { Frame } from './parts/frame.tsx';
import { GateScreen } from './screens/gate-screen.tsx';
import { NotFoundScreen } from './screens/not-found-screen.tsx';
import { NotificationsScreen } from './screens/notifications-screen.tsx';
import { PatientFormScreen } from './screens/patient-form-screen.tsx';
import { PatientScreen } from './screens/patient-screen.tsx';
import { PatientsScreen } from './screens/patients-screen.tsx';
import { SignInScreen } from './screens/sign-in-screen.tsx';
import { StudyScreen } from './screens/study-screen.tsx';
import { isSignedOut } from './session/failure.ts';
import { PortalContext, usePortalState, type Portal } from './session/portal.ts';
import { SessionContext, useSessionState } from './session/session.ts';
import { useLanguage } from './settings/language.ts';
import { useTheme } from './settings/theme.ts';
import type { Pins } from './trust/pins.ts';

/** The portal: nothing but the gate exists until it has passed. */
export function App({ i18n, pins }: { i18n: i18n; pins: Pins | undefined }) {
  return (
    <I18nextProvider i18n={i18n}>
      <Localised pins={pins} />
    </I18nextProvider>
  );
}

function Localised({ pins }: { pins: Pins | undefined }) {
  const [language] = useLanguage();
  useTheme();
  const portal = usePortalState(pins);
  const { connection, report, stopped } = portal;
  // Who works here when trust is interrupted keeps what was typed, and sends nothing.
  const out = report.state === 'blocked' && stopped === undefined;
  return (
    <I18nProvider locale={language}>
      <PortalContext value={portal}>
        {connection === undefined || out ? (
          <GateScreen />
        ) : (
          <BrowserRouter>
            <SignedIn connection={connection} />
          </BrowserRouter>
        )}
      </PortalContext>
    </I18nProvider>
  );
}

function SignedIn({ connection }: { connection: NonNullable<Portal['connection']> }) {
  const navigate = useNavigate();
  const [cacheOf, setCacheOf] = useState(0);
  const queries = useMemo(() => createQueries(cacheOf), [cacheOf]);
  const session = useSessionState(connection, () => {
    // What was shown to one user is gone before another signs in.
    queries.clear();
    setCacheOf((n) => n + 1);
  });
  return (
    <RouterProvider navigate={(path) => void navigate(path)} useHref={useHref}>
      <QueryClientProvider client={queries}>
        {session.session === undefined ? (
          <SignInScreen onSignIn={session.signIn} ended={session.ended} />
        ) : (
          <SessionContext value={{ ...session, session: session.session, connection }}>
            <Routes>
              <Route element={<Frame />}>
                <Route index element={<Navigate to="/patients" replace />} />
                <Route path="/patients" element={<PatientsScreen />} />
                <Route path="/patients/new" element={<PatientFormScreen />} />
                <Route path="/patients/:patient" element={<PatientScreen />} />
                <Route path="/patients/:patient/studies/:study" element={<StudyScreen />} />
                <Route path="/notifications" element={<NotificationsScreen />} />
                <Route path="*" element={<NotFoundScreen />} />
              </Route>
            </Routes>
          </SessionContext>
        )}
      </QueryClientProvider>
    </RouterProvider>
  );
}

/** A cache of its own for every sign-in; nothing outlives the screen that shows it for long. */
function createQueries(_generation: number): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        gcTime: 30_000,
        staleTime: 2000,
        refetchOnWindowFocus: true,
        networkMode: 'always',
        retry: (failures, error) => !isSignedOut(error) && failures < 2,
      },
      mutations: { networkMode: 'always', retry: false },
    },
  });
}
