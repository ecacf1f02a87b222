import Daemon
import Harness
import Mail
import Rules
import Testing

/// Tables of networks as they are read from their files.
struct TableFileTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    /// Each error without the name of the folder.
    private func errors(_ name: String) -> [String] {
        do {
            _ = try CIDRTable(file: self.folder.path(name))
            return []
        } catch {
            return error.list.map { $0.description.replacing(self.folder.path + "/", with: "") }
        }
    }

    @Test func `a table of networks is read from its file`() throws {
        try self.folder.write("access", "\u{FEFF}10.0.0.0/8 OK\n")
        let table = try CIDRTable(file: self.folder.path("access"))
        #expect(table.lookup(.v4(0x0A00_0001))?.value == "OK")
    }

    @Test func `problems are told with file and line`() throws {
        try self.folder.write("access", "10.0.0.0/8\n10.0.0.1/8 OK\n")
        #expect(
            self.errors("access") == [
                "access:1: a network without value: '10.0.0.0/8'",
                "access:2: '10.0.0.1/8' has bits behind its prefix: probably '10.0.0.0/8' is meant",
            ])
        #expect(self.errors("missing") == ["missing: cannot be read: No such file or directory"])
    }
}
