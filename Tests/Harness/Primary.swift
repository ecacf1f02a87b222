/// A real mail server that stands in for the primary: it takes mail for its domains and delivers it into a Maildir.
///
/// It runs from its start to the end of its last reference, in a folder and on a port of its own. A message that lies
/// in
/// the Maildir may come again after a new start: the server may not yet have noted that it was delivered.
package protocol Primary: AnyObject, Sendable {
    /// Starts one on a free port of the address.
    init(host: String, domains: [String], recipients: Recipients) throws

    var address: Endpoint { get }
    var maildir: Maildir { get }
    /// What the server wrote to its log so far.
    var log: String { get }

    /// Starts it again, on the same port and with the mail it has.
    func start() throws
    /// Lets it end in order.
    func stop() throws
    /// Ends it as a crash would.
    func kill()
}

/// Whom a primary has.
package enum Recipients: Sendable {
    /// Everybody in its domains.
    case all
    /// Mailboxes such as `user@example.test`; it refuses the others at RCPT.
    case only([String])
}
