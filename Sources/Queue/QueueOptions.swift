package import Mail

/// Where the queue is and how large it may become.
package struct QueueOptions: Options, OptionValue {
    package var lifetime = Duration.seconds(10 * 86_400)
    package var noticeLifetime = Duration.seconds(10 * 86_400)
    package var delayNotice = Duration.seconds(4 * 3600)
    package var maximumSize = ByteCount(64 << 30)
    package var reserve = ByteCount(256 << 20)

    package init() {}

    /// LMDB copies a page before it changes it, so even a deletion takes room.
    private static let leastReserveBytes = 1 << 20

    package static let summary = "What is kept, and for how long."

    package static let fields: [OptionField<Self>] = [
        .init("lifetime", \.lifetime, "How long a message is tried before its sender is told that it failed."),
        .init("notice_lifetime", \.noticeLifetime, "The same for mail with the null sender, which then is dropped."),
        .init(
            "delay_notice", \.delayNotice,
            "After which time the sender is told that the message is delayed; 0 is never."),
        .init(
            "maximum_size", \.maximumSize,
            "Largest size of the queue's file. Address space, not memory; may be changed at a restart."),
        .init("reserve", \.reserve, "Space on the disk, and in the file's size, below which new mail gets 452."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.maximumSize > self.reserve else { throw OptionProblem("maximum_size is not larger than reserve") }
        guard self.reserve.bytes >= Self.leastReserveBytes else {
            throw OptionProblem("reserve is below 1MiB: a full queue needs some room to get rid of messages")
        }
    }
}

/// Faults and steps that tests make happen; nothing in production.
package struct QueueProbe: Sendable {
    package enum Step: Sendable, Equatable {
        /// All writes of a commit are made and none is on the disk.
        case beforeCommit
        /// They are on the disk and nobody has been told.
        case afterCommit
    }

    /// Called by the writing thread. An error it throws is taken for the commit's.
    package var reached: @Sendable (Step) throws(QueueError) -> Void = { _ throws(QueueError) in }
    /// Free bytes of the file system; nil to ask the system.
    package var diskFreeBytes: (@Sendable () -> Int)?

    package init() {}
}
