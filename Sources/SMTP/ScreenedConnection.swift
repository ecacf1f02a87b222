package import Mail

/// A client that the screener lets speak, on its way to the receiver: greeted, and with its first line unread. Where
/// TLS comes before everything else it is not greeted, and what is unread is the beginning of a handshake.
package struct ScreenedConnection: Sendable {
    /// A connected, non-blocking socket. It belongs to whoever has this value last.
    package let descriptor: CInt
    /// The ID of the session in all log lines.
    package let session: QueueID
    package let client: Endpoint
    /// Where it connected; nil if that is not known.
    package let local: Endpoint?
    /// TLS comes before the greeting.
    package let isTLS: Bool
    package let screening: SessionScreening
    /// DNS lists speak for the client.
    package let isAllowlisted: Bool
    /// There are so many clients that each gets less time.
    package let isUnderStress: Bool
    /// Kept as long as the connection is open.
    package let place: ClientLimits.Place
    /// Told what the tests in the session come to. From any thread.
    package let report: @Sendable (SessionScreening.Finding, Dialog) -> Void

    /// What the client has said, for the log.
    package struct Dialog: Sendable {
        package var helo: String?
        package var reversePath: ReversePath?

        package init(helo: String? = nil, reversePath: ReversePath? = nil) {
            self.helo = helo
            self.reversePath = reversePath
        }
    }

    package init(
        descriptor: CInt, session: QueueID, client: Endpoint, local: Endpoint?, isTLS: Bool = false,
        screening: SessionScreening, isAllowlisted: Bool, isUnderStress: Bool, place: ClientLimits.Place,
        report: @escaping @Sendable (SessionScreening.Finding, Dialog) -> Void
    ) {
        self.descriptor = descriptor
        self.session = session
        self.client = client
        self.local = local
        self.isTLS = isTLS
        self.screening = screening
        self.isAllowlisted = isAllowlisted
        self.isUnderStress = isUnderStress
        self.place = place
        self.report = report
    }
}
