/** A client's connection joined to its stream: what one brings the other sends, at the pace of the slower. */
import type { ByteChannel } from '../bytes/channel.ts';
import type { SocketChannel } from '../system/socket-channel.ts';

/** @param closed both are closed; called once */
export function joinLocal(local: SocketChannel, stream: ByteChannel, closed: () => void): void {
  let open = 2;
  const oneClosed = (): void => {
    open -= 1;
    if (open === 0) closed();
  };
  let localEnded = false;
  let streamEnded = false;
  local.receive({
    data: (chunk) => {
      if (!stream.write(chunk)) local.pause();
    },
    end: () => {
      localEnded = true;
      stream.end();
    },
    drained: () => stream.resume(),
    closed: (error) => {
      // A client that is gone reads no answer; one that said so first gets its stream's own orderly end.
      if (error !== null || !localEnded) stream.destroy();
      oneClosed();
    },
  });
  stream.receive({
    data: (chunk) => {
      if (!local.write(chunk)) stream.pause();
    },
    end: () => {
      streamEnded = true;
      local.end();
    },
    drained: () => local.resume(),
    closed: (error) => {
      // The last bytes before a cut are often the error message that says why: the client must get them.
      if (error !== null || !streamEnded) local.destroyWhenSent();
      oneClosed();
    },
  });
}
