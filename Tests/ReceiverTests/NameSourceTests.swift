import Authentication
import Mail
import NIOPosix
import Receiver
import Testing
import ZoneFiles

/// What authentication is told of names.
struct NameSourceTests {
    private static let zone = """
        $ORIGIN example.test.
        @ SOA ns admin 1 1h 1h 1d 60
        @ MX 20 b
        @ MX 20 A
        @ MX 10 z
        @ TXT "v=spf1 " "-all"
        @ TXT "other"
        a A 192.0.2.1
        a AAAA ::ffff:192.0.2.2
        null MX 0 .
        host PTR Name.Example.Test.
        alias CNAME a
        odd\\032name A 192.0.2.3

        """

    private static func replies(_ queries: [NameQuery], _ service: ZoneService) async throws -> [NameReply] {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let names = NameSource(service, on: group.next())
        var replies: [NameReply] = []
        for query in queries { replies.append(await names.ask(query)) }
        try await group.shutdownGracefully()
        return replies
    }

    @Test func `Records become replies, hosts in lower case without a dot, exchanges in their order`() async throws {
        let replies = try await Self.replies(
            [
                NameQuery("Example.Test", .mx), NameQuery("example.test", .txt), NameQuery("alias.example.test", .a),
                NameQuery("a.example.test", .aaaa), NameQuery("null.example.test", .mx),
                NameQuery("host.example.test", .ptr), NameQuery(#"odd\032name.example.test"#, .a),
            ], try ZoneService(Self.zone))
        #expect(
            replies == [
                .hosts(["z.example.test", "a.example.test", "b.example.test"]),
                .texts([Array("v=spf1 -all".utf8), Array("other".utf8)]), .addresses([.v4(0xC000_0201)]),
                .addresses([.v6(high: 0, low: 0xFFFF_C000_0202)]), .hosts([""]), .hosts(["name.example.test"]),
                .addresses([.v4(0xC000_0203)]),
            ])
    }

    @Test func `What does not exist is told apart from what is not known`() async throws {
        let service = try ZoneService(Self.zone)
        try service.fail("a.example.test", with: .bogus)
        try service.fail("null.example.test", with: .timeout)
        try service.fail("host.example.test", with: .serverFailure)
        let replies = try await Self.replies(
            [
                NameQuery("none.example.test", .a), NameQuery("example.test", .a), NameQuery("a..test", .a),
                NameQuery(String(repeating: "x", count: 64) + ".test", .a), NameQuery("", .a),
                NameQuery("a.example.test", .a), NameQuery("null.example.test", .mx),
                NameQuery("host.example.test", .ptr),
            ], service)
        #expect(Array(replies.prefix(5)) == [.noSuchName, .noRecords, .noSuchName, .noSuchName, .noSuchName])
        for reply in replies.dropFirst(5) {
            var isFailure = false
            if case .failed(let why) = reply { isFailure = !why.isEmpty }
            #expect(isFailure, "\(reply)")
        }
    }
}
