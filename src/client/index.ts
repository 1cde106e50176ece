/** What applications import: `import { connect } from 'sluice/client'`. */
export type { Progress, QuarantineReason, RunStatus, RunSummary } from '../contracts/run.ts';
export type { DifferingPartition, DifferingRow, VerifySummary } from '../contracts/verification.ts';
export { type ConnectOptions, connect } from './connect.ts';
export { RunFailedError } from './run-failed-error.ts';
export type { RunHandle } from './run-handle.ts';
export type { RunFilter, RunInfo } from './run-info.ts';
export type { RetryOptions, SluiceClient, StartOptions, VerifyOptions } from './sluice-client.ts';
export type { Verification } from './verification.ts';
