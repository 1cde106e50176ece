/** Fast tests first: unit, replay, integration, then system and kill tests; by name within each. */
const { default: Sequencer } = require('@jest/test-sequencer');

const ORDER = ['unit', 'replay', 'integration', 'system', 'cluster'];

module.exports = class extends Sequencer {
  sort(tests) {
    const rank = ({ path, context }) => [ORDER.indexOf(context.config.displayName?.name ?? ''), path];
    return [...tests].sort((a, b) => {
      const [first, left] = rank(a);
      const [second, right] = rank(b);
      return first - second || (left < right ? -1 : 1);
    });
  }
};
