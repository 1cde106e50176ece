/** Address of a workflow in Temporal's Web UI; null where the UI is not known. */
export function workflowUrl(webUi: string | null, namespace: string, workflowId: string, runId?: string): string | null {
  if (!webUi) return null;
  const path = ['namespaces', namespace, 'workflows', workflowId, ...(runId ? [runId, 'history'] : [])];
  return `${webUi}/${path.map(encodeURIComponent).join('/')}`;
}
