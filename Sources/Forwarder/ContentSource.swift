import Mail
import NIOCore
import NIOPosix
import Queue

/// The content of a message in pieces, checked as a whole before its last piece is given out.
///
/// So a next hop never gets the end of content that is not what was stored: the connection breaks off instead.
final class ContentSource {
    private let message: QueuedMessage
    private let queue: any MailQueue
    private let pool: NIOThreadPool
    private let loop: any EventLoop
    private var inMemory: [UInt8]?
    private var offset = 0
    private var check: ContentCheck

    static let pieceBytes = 128 * 1024

    init(
        _ message: QueuedMessage, inMemory: [UInt8]?, queue: any MailQueue, pool: NIOThreadPool, loop: any EventLoop
    ) {
        self.message = message
        self.check = ContentCheck(of: message)
        self.inMemory = inMemory
        self.queue = queue
        self.pool = pool
        self.loop = loop
    }

    /// The whole content if it is in memory, as it is while mail flows; it was checked when it got there.
    func takeAll() -> [UInt8]? {
        defer { self.inMemory = nil }
        return self.inMemory
    }

    /// The next piece, and whether it is the last.
    func next() -> EventLoopFuture<(piece: [UInt8], isLast: Bool)> {
        let (id, offset, queue) = (self.message.id, self.offset, self.queue)
        let read = self.pool.runIfActive(eventLoop: self.loop) {
            try queue.content(of: id, from: offset, limit: Self.pieceBytes)
        }
        return read.assumeIsolated().map { piece in piece }.flatMapThrowing { piece in
            self.offset += piece.count
            self.check.update(piece)
            let isLast = self.offset >= self.message.contentBytes
            if isLast || piece.isEmpty {
                guard self.check.isWhole else {
                    throw QueueError.damaged("content is not what was stored")
                }
            }
            return (piece, isLast)
        }.nonisolated()
    }
}
