/** The run as people follow it: the query `progress`, pause and resume, search attributes, details in the Web UI. */

import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common';
import {
  ChildWorkflowCancellationType,
  condition,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { stageWorkflowId, WORKFLOW_TASK_TIMEOUT } from '../src/contracts/names.ts';
import type { PipelineInput, PlanSummary, Progress, RunStatus, Stage, StageName } from '../src/contracts/run.ts';
import type { StageInput, StageTotals } from '../src/contracts/stages.ts';
import { pauseSignal, progressQuery, resumeSignal, stageProgressSignal } from './messages.ts';

export class RunStory {
  readonly workflowId = workflowInfo().workflowId;
  readonly #pipeline: string;
  #plan: PlanSummary | null = null;
  #status: RunStatus = 'planning';
  #stage: StageName = 'plan';
  #paused = false;
  #note = '';
  readonly #totals: Partial<Record<Stage, StageTotals>> = {};
  #tellChild: ((paused: boolean) => Promise<void>) | null = null;
  #told = '';

  constructor(input: PipelineInput) {
    this.#pipeline = input.pipeline;
    setHandler(progressQuery, () => this.progress());
    setHandler(pauseSignal, () => this.#setPaused(true));
    setHandler(resumeSignal, () => this.#setPaused(false));
    setHandler(stageProgressSignal, ({ stage, totals }) => {
      this.#totals[stage] = totals;
      this.#tell();
    });
    this.#tell();
  }

  planned(plan: PlanSummary): void {
    this.#plan = plan;
    this.#status = this.#paused ? 'paused' : 'running';
    this.#tell();
  }

  ended(status: 'succeeded' | 'failed' | 'cancelled', note: string): void {
    this.#status = status;
    if (status === 'succeeded') this.#stage = 'done';
    this.#note = note;
    this.#tell();
  }

  /** Runs a stage as a child workflow, once the run is not paused. */
  async stage(
    stage: Stage,
    workflow: (input: StageInput) => Promise<StageTotals>,
    input: Pick<StageInput, 'plan' | 'only'>,
  ): Promise<StageTotals> {
    this.#stage = stage;
    this.#tell();
    await condition(() => !this.#paused);
    const child = await startChild(workflow, {
      workflowId: stageWorkflowId(this.workflowId, stage),
      args: [{ ...input, paused: this.#paused, carried: null }],
      staticSummary: `${stage} ${input.plan.run.pipeline}`,
      staticDetails: input.plan.description,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      ...(input.plan.searchAttributes ? { typedSearchAttributes: attributes(input.plan.run.pipeline, stage, 'running') } : {}),
    });
    this.#tellChild = pauseTeller((paused) => child.signal(paused ? pauseSignal : resumeSignal));
    // A pause that came while the child was starting.
    await this.#tellChild(this.#paused);
    try {
      const totals = await child.result();
      this.#totals[stage] = totals;
      this.#tell();
      return totals;
    } finally {
      this.#tellChild = null;
    }
  }

  progress(): Progress {
    const { extract, transform, load } = this.#totals;
    const planned = this.#plan?.partitions ?? 0;
    const done = this.#status === 'succeeded';
    const isDirect = this.#plan?.commit === 'chunk';
    return {
      run: this.workflowId,
      pipeline: this.#pipeline,
      status: this.#status,
      stage: this.#stage,
      partitions: {
        planned,
        extracted:
          this.#stage === 'extract' ? (extract?.partitions ?? 0) : this.#stage === 'plan' ? 0 : planned - (extract?.stoppedCount ?? 0),
        committed: done ? planned : this.#plan?.commit === 'run' ? 0 : ((isDirect ? extract : load)?.partitions ?? 0),
      },
      rows: {
        expected: this.#plan?.rowsExpected ?? null,
        read: extract?.rowsRead ?? 0,
        staged: extract?.rowsStaged ?? 0,
        quarantined: (extract?.rowsQuarantined ?? 0) + (transform?.rowsQuarantined ?? 0),
        loaded: (isDirect ? extract?.rowsStaged : load?.rowsLoaded) ?? 0,
      },
      chunks: extract?.chunks ?? 0,
      stopped: [extract, transform, load].flatMap((totals) => totals?.stopped ?? []).slice(0, 20),
      note: this.#note || this.#hint(),
    };
  }

  #hint(): string {
    if (this.#paused) return `Paused. Go on with: sluice resume ${this.workflowId}`;
    return this.#plan?.description ?? 'Planning: which partitions there are.';
  }

  async #setPaused(paused: boolean): Promise<void> {
    this.#paused = paused;
    if (this.#status === 'running' || this.#status === 'paused') this.#status = paused ? 'paused' : 'running';
    this.#tell();
    await this.#tellChild?.(paused);
  }

  #tell(): void {
    const { rows, partitions, stage, status, note } = this.progress();
    const count = (n: number) => n.toLocaleString('en-US');
    setCurrentDetails(
      `**${status}** · ${stage} · ${count(partitions.extracted)} of ${count(partitions.planned)} partitions extracted · ` +
        `${count(rows.read)} rows read, ${count(rows.quarantined)} quarantined, ${count(rows.loaded)} loaded\n\n${note}`,
    );
    // Each upsert is an event in the history: only what changed.
    const told = `${stage} ${status}`;
    if (!this.#plan?.searchAttributes || told === this.#told) return;
    this.#told = told;
    upsertSearchAttributes(attributes(this.#pipeline, stage, status));
  }
}

/** Keeps a child, which begins unpaused, told what it is. One signal at a time: the server does not keep two in order. */
function pauseTeller(signal: (paused: boolean) => Promise<void>): (paused: boolean) => Promise<void> {
  let wanted = false;
  let told = false;
  let telling = false;
  return async (paused) => {
    wanted = paused;
    if (telling) return;
    telling = true;
    while (told !== wanted) {
      told = wanted;
      await signal(told).catch(() => {});
    }
    telling = false;
  };
}

function attributes(pipeline: string, stage: string, status: string): SearchAttributePair[] {
  return [
    { key: defineSearchAttributeKey('SluicePipeline', SearchAttributeType.KEYWORD), value: pipeline },
    { key: defineSearchAttributeKey('SluiceStage', SearchAttributeType.KEYWORD), value: stage },
    { key: defineSearchAttributeKey('SluiceStatus', SearchAttributeType.KEYWORD), value: status },
  ];
}
