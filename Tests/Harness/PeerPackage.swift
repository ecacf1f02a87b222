import Foundation

/// A group of packages that `Tests/peers.sh` unpacked. They are not installed.
package enum PeerPackage: String, Sendable, CaseIterable {
    case postfix, exim, opensmtpd, dns, swaks, postgrey, postgresql, authentication, prometheus, templates, journal

    /// The folder that stands for `/`.
    package var root: String {
        // This file is Tests/Harness/PeerPackage.swift.
        let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return checkout.appendingPathComponent(".build/peers/\(self.rawValue)").path
    }

    /// A program of the package, which runs where it was unpacked.
    ///
    /// - Parameter path: its path if it were installed.
    package func program(_ path: String, _ arguments: [String] = []) throws -> Program {
        try self.program(machine: self.find(path), arguments)
    }

    /// A program of the machine with the package's libraries.
    func program(machine path: String, _ arguments: [String]) throws -> Program {
        var program = Program(path, arguments)
        let folders =
            self.libraryFolders.flatMap { [$0, "\($0)/systemd"] }
            + ["\(self.root)/usr/lib", "\(self.root)/usr/lib/postfix"]
        program.environment["LD_LIBRARY_PATH"] = folders.joined(separator: ":")
        return program
    }

    /// Where a file of the package lies.
    ///
    /// - Throws: when it was not fetched. That fails a test: a peer that is missing proves nothing.
    func find(_ path: String) throws -> String {
        let place = self.root + path
        guard FileManager.default.fileExists(atPath: place) else {
            throw HarnessError("\(place) is missing: run Tests/peers.sh")
        }
        return place
    }

    /// Where its Perl modules lie, those that are compiled too.
    var perlFolders: [String] {
        ["\(self.root)/usr/share/perl5"] + self.libraryFolders.flatMap { Self.folders(in: "\($0)/perl5") { _ in true } }
    }

    /// `usr/lib/x86_64-linux-gnu` or what this machine's architecture calls it.
    private var libraryFolders: [String] {
        Self.folders(in: "\(self.root)/usr/lib") { $0.hasSuffix("-linux-gnu") }
    }

    private static func folders(in path: String, where isWanted: (String) -> Bool) -> [String] {
        // There may be none: the machine may have all libraries itself.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter(isWanted).map { "\(path)/\($0)" }
    }
}
