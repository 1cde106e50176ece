/**
 * How calls to Temporal are repeated, and for how long. The SDK's own retry waits in a timer, and throws there, out of everybody's reach, where the
 * connection has been closed in the meantime: that would end the process. Here such a call ends as one that was cancelled. And gRPC waits for ever for a
 * server that takes connections and says nothing: here a call that names no deadline has one.
 */
import { type ConnectionOptions, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];
type Call = ReturnType<Interceptor>;

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

/** With all its tries. The retries of the SDK end after some 20 s. */
const CALL_MS = 60_000;
/** Where the server itself waits for news, for up to 20 s: its `history.longPollExpirationInterval`. */
const POLL_MS = 90_000;
const POLL = /GetWorkflowExecutionHistory$/;

/** Who says nothing is away, as who refuses connections. */
function answerWithin(callMs: number, pollMs: number): Interceptor {
  return (options, nextCall) => {
    if (options.deadline !== undefined) return nextCall(options) as Call;
    const limitMs = POLL.test(options.method_definition.path) ? pollMs : callMs;
    const call = nextCall({ ...options, deadline: Date.now() + limitMs }) as Call;
    const start = call.start.bind(call);
    call.start = (metadata, listener) =>
      start(metadata, {
        onReceiveMetadata: (received) => listener?.onReceiveMetadata?.(received),
        onReceiveMessage: (message) => listener?.onReceiveMessage?.(message),
        onReceiveStatus: (status) =>
          listener?.onReceiveStatus?.(
            status.code === DEADLINE_EXCEEDED ? { ...status, code: UNAVAILABLE, details: `no answer for ${limitMs / 1000} s` } : status,
          ),
      });
    return call;
  };
}

const endWhenClosed: Interceptor = (options, nextCall) => {
  try {
    return nextCall(options) as Call;
  } catch (error) {
    const details = error instanceof Error ? error.message : String(error);
    const call: Pick<Call, 'start' | 'sendMessage' | 'halfClose' | 'cancelWithStatus' | 'getPeer'> = {
      start: (metadata, listener) => listener?.onReceiveStatus?.({ code: CANCELLED, details, metadata }),
      sendMessage: () => {},
      halfClose: () => {},
      cancelWithStatus: () => {},
      getPeer: () => 'closed',
    };
    return call as Call;
  }
};

/**
 * @param callMs how long a call may take that names no deadline, in milliseconds
 * @param pollMs the same where the server waits for news
 */
export function interceptorsWith(callMs: number, pollMs: number): Interceptor[] {
  return [answerWithin(callMs, pollMs), makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), endWhenClosed];
}

/** For `Connection.connect` and `Connection.lazy`. */
export const interceptors: Interceptor[] = interceptorsWith(CALL_MS, POLL_MS);
