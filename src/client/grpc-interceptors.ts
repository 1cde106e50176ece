/**
 * How calls to Temporal are repeated. The SDK's own retry waits in a timer, and throws there, out of everybody's reach, where the connection has been
 * closed in the meantime: that would end the process. Here such a call ends as one that was cancelled.
 */
import { type ConnectionOptions, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];
type Call = ReturnType<Interceptor>;

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const CANCELLED = 1;

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

/** For `Connection.connect` and `Connection.lazy`. */
export const interceptors: Interceptor[] = [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), endWhenClosed];
