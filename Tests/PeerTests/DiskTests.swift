import Foundation
import Harness
import Testing

/// A disk that is too small: the queue lies on a file system of a few megabytes, in a mount namespace of the daemon's own.
@Suite(.serialized) struct DiskTests {
    private let megabyte =
        "Subject: large\r\n\r\n" + String(repeating: String(repeating: "x", count: 98) + "\r\n", count: 10_000)

    @Test func `a disk that fills up refuses with 452, loses nothing, and takes mail again when there is room`() throws
    {
        let primary = try PostfixPrimary()
        try primary.stop()
        let postern = try PosternProcess(
            primary: primary.address, queue: "{maximum_size: 1GiB, reserve: 4MiB}",
            more: "forwarder: {probe_minimum: 1s, probe_maximum: 1s}",
            smallDisk: "16m")
        var (accepted, refused) = (0, 0)
        for _ in 0..<25 {
            let reply = try postern.send(self.megabyte)
            switch reply.code {
            case 250: accepted += 1
            case 452: refused += 1
            default: Issue.record("\(reply)")
            }
        }
        #expect(accepted >= 5 && refused >= 5)
        #expect(try postern.queued() == accepted)
        let alarms = try #require(try postern.json("status")["alarms"] as? [String])
        #expect(alarms.contains { $0.contains("452") })
        try primary.start()
        try primary.maildir.wait(for: accepted, within: .seconds(60))
        try postern.waitUntilEmpty()
        try eventually("mail is taken again") { try postern.send("Subject: small\r\n\r\n").code == 250 }
        try primary.maildir.wait(for: accepted + 1)
    }

    @Test func `a disk that somebody else fills fails what is new, with 4yz, and passes`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(
            primary: sink.address, queue: "{maximum_size: 1GiB, reserve: 1MiB}", smallDisk: "16m")
        for _ in 0..<5 { #expect(try postern.send("Subject: before\r\n\r\n").code == 250) }
        // The folder as the daemon sees it.
        let filler = "/proc/\(postern.processID)/root\(postern.folder.path("state"))/filler"
        let file = try #require(
            FileManager.default.createFile(atPath: filler, contents: nil) ? FileHandle(forWritingAtPath: filler) : nil)
        let block = Data(count: 65_536)
        while (try? file.write(contentsOf: block)) != nil {}
        try file.close()
        try eventually("new mail is refused") { try postern.send(self.megabyte).code == 452 }
        // Small mail may still find free pages inside the file.
        let small = try postern.send("Subject: small\r\n\r\n").code
        #expect(small == 250 || small == 452)
        try FileManager.default.removeItem(atPath: filler)
        try eventually("mail is taken again") { try postern.send("Subject: after\r\n\r\n").code == 250 }
        try postern.waitUntilEmpty()
        try sink.wait(for: small == 250 ? 7 : 6)
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `a file at its largest size does the same`() throws {
        let primary = try PostfixPrimary()
        try primary.stop()
        let postern = try PosternProcess(
            primary: primary.address, queue: "{maximum_size: 12MiB, reserve: 2MiB}",
            more: "forwarder: {probe_minimum: 1s, probe_maximum: 1s}")
        var accepted = 0
        for _ in 0..<20 where try postern.send(self.megabyte).code == 250 { accepted += 1 }
        #expect((4...10).contains(accepted))
        try primary.start()
        try primary.maildir.wait(for: accepted, within: .seconds(60))
        try postern.waitUntilEmpty()
        #expect(try postern.command("queue", "fsck").ending == .exited(0))
    }
}
