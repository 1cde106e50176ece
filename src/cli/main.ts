#!/usr/bin/env node
import { runCli } from './run-cli.ts';

// Errors in pipelines are shown where they stand in the TypeScript.
process.setSourceMapsEnabled(true);
const status = await runCli(process.argv.slice(2));
// What is written to a pipe may not have left yet. Then at once: calls that wait to be repeated would keep the process.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))));
process.exit(status);
