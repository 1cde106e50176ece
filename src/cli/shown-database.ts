import { databaseLabel } from '../connectors/postgres/database.ts';
import type { SessionDatabase } from './session.ts';

/** How to connect: the embedded database's password is no secret on this machine, another's is not shown. */
export function shownDatabase(database: SessionDatabase | null): string | null {
  if (!database) return null;
  return database.embedded ? database.url : databaseLabel(database.url);
}
