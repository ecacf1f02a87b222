/// What is shown, as the server asks for it.
package protocol MetricsSource: Sendable {
    /// Why nothing else is answered: the service ends. Nil while it runs.
    var ending: String? { get }
    /// The page for Prometheus.
    func metrics() async throws -> String
    /// Why mail is not taken; nil if it is.
    func problem() async throws -> String?
    /// One JSON document.
    func status() async throws -> [UInt8]
    /// Gives each message as a JSON document to a closure, which returns when there is room for more.
    func queue(_ filter: QueueFilter, _ body: @escaping @Sendable ([UInt8]) async throws -> Void) async throws
}
