import Mail
import Testing

/// What attachments hold.
struct ArchiveTests {
    private func part(_ content: [UInt8], limits: MIMELimits = MIMELimits()) -> MIMEPart {
        let message = MIMEFixture.attachment(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64",
            Array(MIMEFixture.base64(content).utf8))
        return MIMEFixture.examine(message, limits: limits).parts[1]
    }

    private func entries(_ content: [UInt8]) -> [String] { self.part(content).archive?.entries.map(\.name) ?? [] }

    private static let program: [UInt8] = [0x4D, 0x5A, 0x90, 0] + [UInt8](repeating: 0, count: 60)

    @Test func `names of a zip archive are found once`() {
        let part = self.part(MIMEFixture.zip([.init(name: "a.txt"), .init(name: "d/évil.exe", content: Self.program)]))
        #expect(part.contents == [.zip])
        #expect(part.archive?.entries.map(\.name) == ["a.txt", "d/évil.exe"])
        #expect(part.archive?.entries.map(\.content) == [nil, .exe])
        #expect(part.archive?.isEncrypted == false && part.archive?.isTruncated == false)
    }

    @Test func `half of an archive will do`() {
        let archive = MIMEFixture.zip([.init(name: "a.exe"), .init(name: "b.exe")])
        let directory =
            archive.count - MIMEFixture.zip([.init(name: "a.exe"), .init(name: "b.exe")], hasDirectory: false).count
        #expect(self.entries(Array(archive.dropLast(directory))) == ["a.exe", "b.exe"])
        #expect(self.entries(Array(archive.suffix(directory))) == ["a.exe", "b.exe"])
        #expect(self.entries(Self.program + archive) == ["a.exe", "b.exe"])
    }

    @Test func `a header that swallows the next hides nothing`() {
        var archive = MIMEFixture.zip([.init(name: "a.txt"), .init(name: "b.exe")], hasDirectory: false)
        // The length of the first name.
        archive[26] = 200
        #expect(self.entries(archive).contains("b.exe"))
    }

    @Test(arguments: [false, true])
    func `archives in archives are read`(isDeflated: Bool) {
        let inner = MIMEFixture.zip([.init(name: "evil.exe", content: Self.program, isDeflated: isDeflated)])
        let middle = MIMEFixture.zip([.init(name: "inner.zip", content: inner, isDeflated: isDeflated)])
        let part = self.part(MIMEFixture.zip([.init(name: "middle.zip", content: middle, isDeflated: isDeflated)]))
        let evil = part.archive?.entries.filter { $0.name == "evil.exe" }
        #expect(evil?.contains { $0.content == .exe } ?? false)
        #expect(!isDeflated || evil?.contains { $0.containers == ["middle.zip", "inner.zip"] } ?? false)
    }

    @Test func `encryption is seen`() {
        let archive = MIMEFixture.zip([.init(name: "a.txt"), .init(name: "b.txt", isEncrypted: true)])
        #expect(self.part(archive).archive?.isEncrypted == true)
        #expect(self.part(archive).archive?.entries.map(\.isEncrypted) == [false, true])
        // An encrypted list of entries: the bit in a header, and the record before the list.
        var masked = MIMEFixture.zip([.init(name: "a.txt")])
        masked[7] = 0x20
        #expect(self.part(masked).archive?.isEncrypted == true)
        let record = MIMEFixture.zip([.init(name: "a.txt")], hasDirectory: false) + [0x50, 0x4B, 6, 8] + Self.program
        #expect(self.part(record).archive?.isEncrypted == true)
    }

    @Test func `entries, depth and octets are limited`() {
        var limits = MIMELimits()
        limits.archiveEntries = 5
        let many = self.part(MIMEFixture.zip((0..<10).map { .init(name: "\($0).txt") }), limits: limits)
        #expect(many.archive?.entries.count == 5)
        #expect(many.archive?.isTruncated == true)
        limits.archiveEntries = 1000
        limits.archiveDepth = 0
        let inner = MIMEFixture.zip([.init(name: "x.exe", content: [UInt8](repeating: 0x20, count: 200_000))])
        let outer = MIMEFixture.zip([.init(name: "i.zip", content: inner, isDeflated: true)])
        #expect(self.part(outer, limits: limits).archive?.isTruncated == true)
        limits.archiveDepth = 3
        limits.inflatedBytes = 50_000
        #expect(self.part(outer, limits: limits).archive?.isTruncated == true)
        limits.inflatedBytes = 1_000_000
        #expect(self.part(outer, limits: limits).archive?.isTruncated == false)
    }

    @Test func `gzip shows its name and what it holds`() {
        let header: [UInt8] = [0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 3]
        let gzip = header + Array("evil.exe".utf8) + [0] + MIMEFixture.deflated(Self.program)
        let part = self.part(gzip)
        #expect(part.contents == [.gzip])
        #expect(part.archive?.entries == [ArchiveEntry(name: "evil.exe", content: .exe)])
        let plain: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        let zipped: [UInt8] = plain + MIMEFixture.deflated(MIMEFixture.zip([.init(name: "x.exe")]))
        #expect(self.entries(zipped).contains("x.exe"))
    }

    @Test func `TNEF shows the names of its attachments`() {
        func attribute(_ identifier: Int, _ data: [UInt8]) -> [UInt8] {
            [2] + MIMEFixture.little(identifier, 4) + MIMEFixture.little(data.count, 4) + data + [0, 0]
        }
        let long: [UInt8] = "long.exe".utf8.flatMap { [$0, 0] } + [0, 0]
        var properties: [UInt8] = MIMEFixture.little(2, 4)
        properties += MIMEFixture.little(0x0E20_0003, 4) + MIMEFixture.little(7, 4)
        properties += MIMEFixture.little(0x3707_001F, 4) + MIMEFixture.little(1, 4)
        properties += MIMEFixture.little(long.count, 4) + long + [0, 0]
        var tnef: [UInt8] = [0x78, 0x9F, 0x3E, 0x22, 1, 0]
        tnef += attribute(0x0006_9002, [1, 2, 3])
        tnef += attribute(0x0001_8010, Array("SHORT.EXE\0".utf8))
        tnef += attribute(0x0006_800F, Self.program)
        tnef += attribute(0x0006_9005, properties)
        let part = self.part(tnef)
        #expect(part.names == ["SHORT.EXE", "long.exe"])
        #expect(part.contents == [.tnef, .exe])
    }

    @Test(arguments: [
        (ContentKind.exe, [UInt8](Self.program)), (.rar, Array("Rar!\u{1A}\u{7}\u{1}\0".utf8)),
        (.pdf, Array("%PDF-1.7".utf8)),
        (.sevenZip, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]), (.ole, [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]),
        (.iso, [UInt8](repeating: 0, count: 32_769) + Array("CD001".utf8)),
    ])
    func `content is recognized by its first octets`(kind: ContentKind, content: [UInt8]) {
        #expect(self.part(content).contents == [kind])
    }

    @Test func `a text that begins like a program is none`() {
        #expect(self.part(Array("MZ is how programs begin, this text is none".utf8)).contents.isEmpty)
    }
}
