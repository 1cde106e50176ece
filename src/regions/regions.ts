/** All regions as the commands work with them: Temporal and target of each, and who of them is right about what is active. */
import type { NamespaceView, ServiceProbe } from '../client/active-region.ts';
import { temporalSettings } from '../client/settings.ts';
import { databaseUrl } from '../connectors/postgres/database.ts';
import { PermanentError } from '../errors.ts';
import { type Region, regionsOf } from './region-list.ts';
import { TargetRegion } from './target-region.ts';
import { TemporalRegion } from './temporal-region.ts';

const ANSWER_MS = 4_000;

export class Regions {
  readonly all: readonly Region[];
  readonly namespace: string;
  readonly #probe: ServiceProbe;
  readonly #targets: ReadonlyMap<string, TargetRegion>;
  readonly #temporals = new Map<string, TemporalRegion>();

  private constructor(all: readonly Region[], probe: ServiceProbe, targets: ReadonlyMap<string, TargetRegion>) {
    this.all = all;
    this.namespace = probe.namespace;
    this.#probe = probe;
    this.#targets = targets;
  }

  /**
   * @param env SLUICE_REGIONS, SLUICE_DATABASE_URL, SLUICE_PATRONI_PASSWORD, and Temporal's own
   * @throws PermanentError `NoRegions`, `InvalidRegions`, `MissingDatabaseUrl`
   */
  static async open(env: NodeJS.ProcessEnv): Promise<Regions> {
    const all = regionsOf(env);
    if (!all) {
      throw new PermanentError(
        'NoRegions',
        'SLUICE_REGIONS does not say which regions there are. On this machine: sluice cluster up --regions a,b, then eval "$(sluice cluster env)".',
      );
    }
    const { connection, namespace } = await temporalSettings({ env });
    const options = { databaseUrl: databaseUrl({}, env), password: env.SLUICE_PATRONI_PASSWORD ?? '' };
    const targets = new Map(all.map((region) => [region.name, new TargetRegion(region, options)]));
    return new Regions(all, { namespace, connection, timeoutMs: ANSWER_MS }, targets);
  }

  /** @throws PermanentError `UnknownRegion` */
  region(name: string): Region {
    const found = this.all.find((region) => region.name === name);
    if (found) return found;
    throw new PermanentError('UnknownRegion', `There is no region "${name}". Regions: ${this.all.map((each) => each.name).join(', ')}.`);
  }

  othersThan(name: string): Region[] {
    return this.all.filter((region) => region.name !== name);
  }

  target(name: string): TargetRegion {
    this.region(name);
    return this.#targets.get(name) as TargetRegion;
  }

  /** @throws TransientError `RegionUnreachable` */
  async temporal(name: string): Promise<TemporalRegion> {
    const known = this.#temporals.get(name);
    if (known) return known;
    const connected = await TemporalRegion.connect(this.region(name), this.#probe);
    this.#temporals.set(name, connected);
    return connected;
  }

  /** What Temporal of a region says of the namespace; null where it does not answer. */
  async view(name: string): Promise<NamespaceView | null> {
    try {
      return await (await this.temporal(name)).view();
    } catch {
      return null;
    }
  }

  /** The newest that any region says; null where none answers. */
  async newestView(): Promise<NamespaceView | null> {
    const views = await Promise.all(this.all.map(({ name }) => this.view(name)));
    return views.reduce((best, view) => (view && (best === null || view.version > best.version) ? view : best), null);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#temporals.values()].map((temporal) => temporal.close().catch(() => {})));
    await Promise.all([...this.#targets.values()].map((target) => target.close().catch(() => {})));
  }
}
