/** Logs: one line of JSON in the Elastic Common Schema for each event, on stderr. SLUICE_LOG_LEVEL sets the level (default info). */
import { ecsFormat } from '@elastic/ecs-pino-format';
import type { LogLevel } from '@temporalio/worker';
import pino from 'pino';

export interface Log {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  /** What Temporal's SDK has to say. */
  forSdk(level: LogLevel, message: string, fields: Record<string, unknown> | undefined): void;
}

/** @param labels on every line, such as the worker's identity */
export function createLogger(labels: Record<string, string>): Log {
  const logger = pino({ level: process.env.SLUICE_LOG_LEVEL ?? 'info', ...ecsFormat() }, pino.destination({ fd: 2, sync: true })).child({
    labels,
  });
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    forSdk: (level, message, fields = {}) => {
      const { error, ...rest } = fields;
      const told = error instanceof Error ? { err: error } : {};
      if (level === 'ERROR') logger.error({ sluice: plain(rest), ...told }, message);
      else if (level === 'WARN') logger.warn({ sluice: plain(rest), ...told }, message);
      else logger.debug({ sluice: plain(rest) }, message);
    },
  };
}

/** Only what can be written as JSON. */
function plain(fields: Record<string, unknown>): Record<string, string | number | boolean> {
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') kept[name] = value;
  }
  return kept;
}
