#!/usr/bin/env node
import { runCli } from './run-cli.ts';

// Errors in pipelines are shown where they stand in the TypeScript.
process.setSourceMapsEnabled(true);
const status = await runCli(process.argv.slice(2));
process.exitCode = status;
