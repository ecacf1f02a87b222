import ArgumentParser
import Authentication
import Daemon
import Foundation
import Mail
import Resolver

/// A message in a file or from standard input, with line ends as on the wire.
struct MessageSource {
    private static let pieceBytes = 65_536

    private let path: String

    /// - Parameter path: `-` for standard input.
    init(_ path: String) {
        self.path = path
    }

    /// Reads all of it, piece by piece.
    func read(_ body: ([UInt8]) -> Void) throws {
        try self.readRaw { piece, last in
            body(Self.crlf(piece, after: last))
        }
    }

    func digest(needing hashings: [BodyHashing] = []) throws -> DigestedMessage {
        let digester = MessageDigester(needing: hashings)
        try self.read { piece in piece.withUnsafeBytes { digester.feed($0) } }
        return digester.finish()
    }

    /// The whole message, and whether its lines ended in CRLF already.
    func content() throws -> (content: [UInt8], hasCRLF: Bool) {
        var content: [UInt8] = []
        var hasCRLF = false
        try self.readRaw { piece, last in
            let converted = Self.crlf(piece, after: last)
            if content.isEmpty, let end = piece.firstIndex(of: ASCII.lineFeed) {
                hasCRLF = end > 0 && piece[end - 1] == ASCII.carriageReturn
            }
            content += converted
        }
        return (content, hasCRLF)
    }

    /// - Parameter last: the octet before.
    private static func crlf(_ piece: [UInt8], after last: UInt8?) -> [UInt8] {
        guard Self.hasBareLineFeed(piece, after: last) else { return piece }
        let converted = LineEnds.crlf(piece)
        let isSplit = last == ASCII.carriageReturn && piece.first == ASCII.lineFeed
        return isSplit ? Array(converted.dropFirst()) : converted
    }

    private static func hasBareLineFeed(_ piece: [UInt8], after last: UInt8?) -> Bool {
        piece.withUnsafeBytes { bytes in
            var before = last ?? 0
            for byte in bytes {
                if byte == ASCII.lineFeed, before != ASCII.carriageReturn { return true }
                before = byte
            }
            return false
        }
    }

    private func readRaw(_ body: ([UInt8], _ last: UInt8?) -> Void) throws {
        let descriptor = self.path == "-" ? dup(STDIN_FILENO) : open(self.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
        var last: UInt8?
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw self.failure }
            guard count > 0 else { return }
            body(Array(buffer[..<count]), last)
            last = buffer[count - 1]
        }
    }

    private var failure: CommandFailure { CommandFailure(2, "\(self.path): \(String(cString: strerror(errno)))") }
}

/// Options of commands that ask for names without the daemon.
struct NameArguments: ParsableArguments {
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var resolver: ResolverArguments
    @Option(help: "Take this for the time: seconds since 1970.") var time: Int64?

    var now: Timestamp { self.time.map { Timestamp(seconds: $0) } ?? WallClock.system.now() }

    func validate() throws {
        // Beyond the year 9999 no date can be written.
        if let time, !(0...253_402_300_799).contains(time) { throw ValidationError("--time is no time") }
    }

    /// Nil where Postern is not set up.
    func configuration() throws -> Configuration? { try self.source.loadIfSetUp() }

    /// Where Postern is not set up, the system's resolvers are asked.
    func resolving<Result: Sendable>(_ work: @Sendable (NameSource) async -> Result) async throws -> Result {
        var options = try self.configuration()?.resolver.options() ?? ResolverOptions()
        try self.resolver.apply(to: &options)
        return try await NameSource.resolving(options, work)
    }
}

/// Options of commands that sign.
struct KeyArguments: ParsableArguments {
    @Option(help: "The domain that signs.") var domain: String
    @Option(help: "The name of the key in the domain.") var selector: String
    @Option(help: "The file with the private key.") var key: String

    /// A key that others can read is used, for it may be one to try out, and complained of.
    func load() throws -> SigningKey {
        let (domain, selector) = try Self.names(domain: self.domain, selector: self.selector)
        do throws(FileError) {
            let key = try SigningKeyFile.load(self.key) { Output.complain("\($0)") }
            return SigningKey(domain: domain, selector: selector, key: key)
        } catch {
            throw CommandFailure(2, "\(error)")
        }
    }

    static func names(domain: String, selector: String) throws -> (DomainName, DomainName) {
        guard let name = DomainName(domain) else { throw CommandFailure(2, "'\(domain)' is no domain name") }
        guard let selector = DomainName(selector) else { throw CommandFailure(2, "'\(selector)' is no selector") }
        return (name, selector)
    }
}

extension Output {
    /// Prints a message with new fields above it. A file whose lines end in LF stays one.
    static func message(_ fields: String, above content: [UInt8], hasCRLF: Bool) throws {
        let bytes = Array(fields.utf8) + content
        guard !hasCRLF else { return try self.write(bytes) }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        for byte in bytes {
            if byte == ASCII.lineFeed, output.last == ASCII.carriageReturn { output.removeLast() }
            output.append(byte)
        }
        try self.write(output)
    }
}
