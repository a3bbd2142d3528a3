import { useQuery } from '@tanstack/react-query';
import { Plus, Search } from 'lucide-react';
import { useDeferredValue, useEffect, useRef, useState } from 'react';
import {
  Cell,
  Column,
  Input,
  Link,
  Row,
  SearchField,
  Table,
  TableBody,
  TableHeader,
} from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import type { PatientView } from '@cloister/client';
import { formatDate } from '../i18n/format.ts';
import { useAge } from '../parts/use-age.ts';
import { Empty, FailureNote, Loading } from '../parts/states.tsx';
import { useGuarded } from '../session/use-guarded.ts';
import { useSession } from '../session/session.ts';
import { useLanguage } from '../settings/language.ts';

/** S3: patients, and the search for them by name. The text searched for never enters the URL. */
export function PatientsScreen() {
  const { t } = useTranslation();
  const { connection } = useSession();
  const [text, setText] = useState('');
  const search = useDeferredValue(text);
  const query = useQuery({
    queryKey: ['patients', search],
    queryFn: () => connection.records.searchPatients(search),
    placeholderData: (before: readonly PatientView[] | undefined) => before,
  });
  useGuarded(query.error);
  const input = useRef<HTMLInputElement>(null);
  useSlash(() => input.current?.focus());
  return (
    <section className="screen">
      <header className="screen-head">
        <h1>{t('patients.title')}</h1>
        <SearchField
          className="search"
          aria-label={t('patients.searchLabel')}
          value={text}
          onChange={setText}
        >
          <Search size={16} aria-hidden />
          <Input
            ref={input}
            className="search-input"
            placeholder={t('patients.search')}
            data-testid="patient-search"
          />
          <kbd className="wide-only">/</kbd>
        </SearchField>
        <Link className="button primary" href="/patients/new" data-testid="patient-new">
          <Plus size={17} aria-hidden />
          {t('patients.new')}
        </Link>
      </header>
      {query.isError ? (
        <FailureNote error={query.error} onRetry={() => void query.refetch()} />
      ) : query.data === undefined ? (
        <Loading />
      ) : (
        <PatientTable patients={query.data} searching={search.trim() !== ''} />
      )}
    </section>
  );
}

function PatientTable({
  patients,
  searching,
}: {
  patients: readonly PatientView[];
  searching: boolean;
}) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [language] = useLanguage();
  const age = useAge();
  if (patients.length === 0)
    return (
      <Empty
        title={t(searching ? 'patients.noHits' : 'patients.empty')}
        hint={t(searching ? 'patients.noHitsHint' : 'patients.emptyHint')}
      />
    );
  return (
    <>
      <div className="panel">
        <Table
          className="table"
          aria-label={t('patients.title')}
          onRowAction={(id) => void navigate(`/patients/${String(id)}`)}
          data-testid="patient-list"
        >
          <TableHeader>
            <Column isRowHeader>{t('patients.name')}</Column>
            <Column>{t('patients.mrn')}</Column>
            <Column>{t('patients.birthDate')}</Column>
            <Column>{t('patients.age')}</Column>
            <Column>{t('patients.gender')}</Column>
          </TableHeader>
          <TableBody>
            {patients.map((patient) => (
              <Row key={patient.id} id={patient.id} className="row" textValue={patient.name}>
                <Cell className="cell-strong">{patient.name}</Cell>
                <Cell className="cell-code">{patient.mrn ?? '–'}</Cell>
                <Cell>
                  {patient.birthDate === undefined ? '–' : formatDate(patient.birthDate, language)}
                </Cell>
                <Cell>{age(patient.birthDate)}</Cell>
                <Cell>{t(`patients.genders.${patient.gender}`)}</Cell>
              </Row>
            ))}
          </TableBody>
        </Table>
      </div>
      <p className="muted" role="status">
        {t('patients.count', { count: patients.length })}
      </p>
    </>
  );
}

/** The key / goes to the search, unless somebody is typing. */
function useSlash(go: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing =
        event.target instanceof HTMLElement &&
        /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      go();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });
}
