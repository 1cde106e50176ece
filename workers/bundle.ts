/** Bundles the workflows once, at build time, so that workers start without doing it. Run as a program it writes the bundle. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/** Where the build puts the bundle. */
export const BUNDLE_FILE = fileURLToPath(new URL('../workflows.bundle.js', import.meta.url));

const logger = new DefaultLogger('WARN');
const { code } = await bundleWorkflowCode({ workflowsPath: fileURLToPath(new URL('../workflows/index.js', import.meta.url)), logger });
await writeFile(BUNDLE_FILE, code);
