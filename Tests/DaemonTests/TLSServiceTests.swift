import Clocks
import Foundation
import Harness
import Mail
import TLS
import Testing

@testable import Daemon

/// Certificates in files, as they come and go.
struct TLSServiceTests {
    private let folder: TemporaryFolder
    private let clock = TestClock(at: WallClock.system.now())
    private let told = Heard<String>()

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func write(_ name: String, _ bytes: [UInt8], mode: Int = 0o600) throws {
        let path = self.folder.path(name)
        // Another file in its place, as certbot and administrators do it.
        try Data(bytes).write(to: URL(fileURLWithPath: path + ".new"))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path + ".new")
        try? FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".new", toPath: path)
    }

    private func makePair(_ host: String = "mx.example.com") throws -> (chain: [UInt8], key: [UInt8]) {
        let key = try TLSCertificate.generateKey()
        return (try TLSCertificate(selfSigned: host, key: key).pem(), key)
    }

    private func generation(_ tls: String, number: Int = 1) throws -> Generation {
        let file = self.folder.path("postern.yaml")
        let text = """
            hostname: mx.example.com
            state: \(self.folder.path("state"))
            rules: \(self.folder.path("rules"))
            tls: \(tls)

            """
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return try Generation(file: file, number: number)
    }

    private func service(_ first: Generation) throws -> TLSService {
        let told = self.told
        return try TLSService(first: first, file: self.folder.path("postern.yaml"), clock: self.clock.wallClock) {
            told.add($0)
        }
    }

    private static let pair = "{certificates: [{chain: chain.pem, key: key.pem}]}"

    private func fingerprint(_ service: TLSService) -> [UInt8]? {
        service.context(of: .smtp)?.options.certificates.first?.publicKeyFingerprint
    }

    @Test func `A new pair is shown without a reload, and half of one is not`() throws {
        let (old, new) = (try self.makePair(), try self.makePair())
        try self.write("chain.pem", old.chain)
        try self.write("key.pem", old.key)
        let service = try self.service(try self.generation(Self.pair))
        let before = self.fingerprint(service)
        service.look()
        #expect(self.told.all == [])

        try self.write("chain.pem", new.chain)
        service.look()
        #expect(self.fingerprint(service) == before)
        #expect(service.alarms.contains { $0.contains("the old ones are shown") })
        let told = self.told.all
        #expect(told.count == 1)
        #expect(told[0].contains("chain.pem"))
        service.look()
        #expect(self.told.count == 1)

        try self.write("key.pem", new.key)
        service.look()
        #expect(self.fingerprint(service) != before)
        #expect(service.alarms == [])
        #expect(
            self.told.all.last?.contains("new certificates are shown: mx.example.com (ECDSA") == true)
    }

    @Test func `Files that are put back are no alarm any more`() throws {
        let pair = try self.makePair()
        try self.write("chain.pem", pair.chain)
        try self.write("key.pem", pair.key)
        let service = try self.service(try self.generation(Self.pair))
        try FileManager.default.moveItem(
            atPath: self.folder.path("key.pem"), toPath: self.folder.path("key.old"))
        service.look()
        #expect(service.alarms.count == 1)
        try FileManager.default.moveItem(
            atPath: self.folder.path("key.old"), toPath: self.folder.path("key.pem"))
        service.look()
        #expect(service.alarms == [])
    }

    @Test func `What could not be read is tried again, and told once`() throws {
        let (old, new) = (try self.makePair(), try self.makePair())
        try self.write("chain.pem", old.chain)
        try self.write("key.pem", old.key)
        let service = try self.service(try self.generation(Self.pair))
        let before = self.fingerprint(service)
        try self.write("chain.pem", new.chain)
        service.look()
        self.clock.advance(.seconds(601))
        service.look()
        #expect(self.told.count == 1)
        #expect(self.fingerprint(service) == before)
        #expect(service.alarms.count == 1)
    }

    @Test func `A chain of which only the first certificate is whole is refused`() throws {
        let pair = try self.makePair()
        try self.write("chain.pem", pair.chain + pair.chain.prefix(200))
        try self.write("key.pem", pair.key)
        #expect(throws: FileErrors.self) { try self.generation(Self.pair) }
        try self.write("chain.pem", pair.chain + pair.chain + pair.key)
        #expect(try self.generation(Self.pair).tls?.certificates.count == 1)
    }

    @Test func `A key that others can read, or a pair that does not fit, refuses the generation`() throws {
        let (first, second) = (try self.makePair(), try self.makePair())
        try self.write("chain.pem", first.chain)
        try self.write("key.pem", first.key, mode: 0o644)
        let unsafe = try #require(throws: FileErrors.self) { try self.generation(Self.pair) }
        #expect(unsafe.list.first?.description.contains("key.pem: the secret in it is not safe") == true)
        try self.write("key.pem", second.key)
        let wrong = try #require(throws: FileErrors.self) { try self.generation(Self.pair) }
        #expect(wrong.list.first?.description.contains("the private key is not the certificate's") == true)
        let missing = try #require(throws: FileErrors.self) { try self.generation("{certificates: [none.pem]}") }
        #expect(missing.list.first?.description.contains("none.pem") == true)
        let ciphers = try #require(throws: FileErrors.self) {
            try self.write("key.pem", first.key)
            return try self.generation("{certificates: [{chain: chain.pem, key: key.pem}], ciphers: NOSUCH}")
        }
        #expect(ciphers.list.first?.description.contains("tls:") == true)
    }

    @Test func `A certificate is an alarm before its end, and behind it`() throws {
        let pair = try self.makePair()
        try self.write("chain.pem", pair.chain)
        try self.write("key.pem", pair.key)
        let service = try self.service(try self.generation(Self.pair))
        let now = self.clock.now
        #expect(service.alarms == [])
        self.clock.set(now + .seconds(3640 * 86_400))
        #expect(service.alarms.first?.contains("expires on") == true)
        self.clock.set(now + .seconds(3651 * 86_400))
        #expect(service.alarms.first?.contains("has expired on") == true)
    }

    @Test func `Without certificates there is one of our own, whose key stays`() throws {
        let first = self.fingerprint(try self.service(try self.generation("{}")))
        let second = self.fingerprint(try self.service(try self.generation("{}")))
        #expect(first != nil)
        #expect(first == second)
        let key = try FileManager.default.attributesOfItem(atPath: self.folder.path("state/tls/self-made.key"))
        #expect(key[.posixPermissions] as? Int == 0o600)
        #expect(try self.service(try self.generation("{enabled: false}")).context(of: .smtp) == nil)
    }

    @Test func `After a day sessions of the day before cannot be resumed`() throws {
        let pair = try self.makePair()
        try self.write("chain.pem", pair.chain)
        try self.write("key.pem", pair.key)
        for generation in [try self.generation(Self.pair), try self.generation("{}")] {
            let service = try self.service(generation)
            let (before, now) = (service.context(of: .smtp), self.clock.now)
            service.look()
            #expect(service.context(of: .smtp) === before)
            self.clock.set(now + .seconds(90_000))
            service.look()
            #expect(service.context(of: .smtp) !== before)
            #expect(self.told.all == [])
        }
    }
}
