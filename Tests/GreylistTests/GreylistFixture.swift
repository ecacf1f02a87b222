import Clocks
import Foundation
import Greylist
import Harness
import LMDB
import Mail
import Testing

/// A store in a folder of its own that writes only when it is told to, unless its settings say otherwise.
struct GreylistFixture {
    let folder: TemporaryFolder
    let clock = TestClock()
    let complaints = Heard<String>()
    var settings = GreylistStore.usualSettings
    var options = GreylistOptions()

    init() throws {
        self.folder = try TemporaryFolder()
        self.settings.entries = 1000
        self.settings.writeInterval = .seconds(86_400)
        self.settings.batch = .max
    }

    /// - Parameter folder: nil for the fixture's own.
    func with(folder: String? = nil, _ body: (GreylistStore, Greylisting) async throws -> Void) async throws {
        let complaints = self.complaints
        let store = try GreylistStore(
            folder: folder ?? self.folder.path, options: self.options, settings: self.settings,
            clock: self.clock.wallClock
        ) { complaints.add($0) }
        let greylisting = Greylisting(store: store, clock: self.clock.wallClock)
        defer { greylisting.close() }
        try await body(store, greylisting)
    }

    /// What becomes of mail, where nothing exempts it.
    func answer(_ greylisting: Greylisting, _ delivery: GreylistDelivery) async -> GreylistAnswer {
        await greylisting.judge(delivery, GreylistPolicy(options: self.options)) { nil }
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self.folder.path(name)) }
}

/// Mail to a recipient of this number, from a network of another.
func delivery(_ number: Int, network: Int = 1, sender: String = "sender@client.example") throws -> GreylistDelivery {
    GreylistDelivery(
        client: .v4(0x0A00_0001 + UInt32(network) << 8), sender: try path(sender),
        recipient: try #require(Mailbox("user-\(number)@example.test")))
}

func path(_ text: String) throws -> ReversePath {
    text.isEmpty ? .null : .mailbox(try #require(Mailbox(text)))
}
