/** The example as it stands: the bench measures what a user gets. */
export { default } from '../../pipelines/flights.ts';
