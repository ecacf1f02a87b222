import Authentication
import Glibc
import Mail

/// How fast SPF and DKIM are when all names are at hand. See Tests/bench/README.md.
///
///     authbench spf postern|libspf2 COUNT
///     authbench dkim MESSAGE RECORD COUNT
///
/// Prints how many there were, their processor time in seconds, and what came of the last. `auth.py` asks.
@main
enum AuthenticationBench {
    static func main() async throws {
        let arguments = CommandLine.arguments
        if arguments.count == 4, arguments[1] == "spf", let count = Int(arguments[3]) {
            try await self.measureSPF(arguments[2] == "libspf2" ? .libspf2(threads: 1) : .postern, count)
        } else if arguments.count == 5, arguments[1] == "dkim", let count = Int(arguments[4]) {
            try await self.measureDKIM(try read(arguments[2]), key: try read(arguments[3]), count)
        } else {
            print("usage: authbench spf postern|libspf2 COUNT | dkim MESSAGE RECORD COUNT")
            exit(2)
        }
    }

    /// A policy as they are: two includes, an MX and some networks. `auth.py` gives the same to others.
    private static let names: [NameQuery: NameReply] = {
        func text(_ text: String) -> NameReply { .texts([Array(text.utf8)]) }
        return [
            NameQuery("example.com", .txt): text(
                "v=spf1 mx ip4:198.51.100.0/24 include:_spf.a.example include:_spf.b.example -all"),
            NameQuery("example.com", .mx): .hosts(["mx1.example.com", "mx2.example.com"]),
            NameQuery("mx1.example.com", .a): .addresses([.v4(0xC633_6401)]),
            NameQuery("mx2.example.com", .a): .addresses([.v4(0xC633_6402)]),
            NameQuery("_spf.a.example", .txt): text(
                "v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.128/26 ip6:2001:db8:1::/48 ~all"),
            NameQuery("_spf.b.example", .txt): text(
                "v=spf1 ip4:192.0.2.0/28 ip4:192.0.2.64/26 ip6:2001:db8:2::/48 ~all"),
        ]
    }()

    private static func measureSPF(_ engine: SPFEngine, _ count: Int) async throws {
        defer { engine.close() }
        let names = Self.names
        let source = NameSource { names[$0] ?? .noSuchName }
        let start = processorTime()
        var last: SPFResult?
        for number in 0..<count {
            let check = SPFCheck(
                client: .v4(0xC000_0240 + UInt32(number % 64)), helo: "mail.example.com",
                reversePath: "user\(number)@example.com", receiver: "mx.example.net", time: Timestamp(seconds: 0))
            last = await engine.check(check, identity: .mailFrom, names: source)
        }
        self.show(count, start, last.map { $0.result.rawValue })
    }

    private static func measureDKIM(_ message: [UInt8], key: [UInt8], _ count: Int) async throws {
        let source = NameSource { _ in .texts([key.filter { $0 >= ASCII.space }]) }
        let start = processorTime()
        var last: [DKIMResult] = []
        for _ in 0..<count {
            let digester = MessageDigester()
            message.withUnsafeBytes { bytes in
                // As it comes from a connection.
                for place in stride(from: 0, to: bytes.count, by: 65536) {
                    digester.feed(UnsafeRawBufferPointer(rebasing: bytes[place..<min(place + 65536, bytes.count)]))
                }
            }
            last = await DKIMVerifier(names: source, now: Timestamp(seconds: Int64(time(nil)))).results(
                for: digester.finish())
        }
        self.show(count, start, last.map(\.outcome.rawValue).joined(separator: ","))
    }

    private static func show(_ count: Int, _ start: Double, _ last: String?) {
        print("\(count) \(processorTime() - start) \(last ?? "")")
    }
}

/// Of all threads, in seconds.
private func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

private func read(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "re") else {
        perror(path)
        exit(1)
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return bytes
}
