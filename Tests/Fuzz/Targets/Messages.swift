import Daemon
import Mail

/// Whatever a message is, its parts are found the same in any pieces, within limits and linear time.
func checkMIME(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    var limits = MIMELimits()
    limits.inflatedBytes = 100_000
    limits.parts = 50
    let structure = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var examiner = MIMEExaminer(limits: limits, makeInflater: ArchiveInflater.make)
        for piece in pieces { piece.withUnsafeBytes { examiner.feed($0) } }
        let structure = examiner.finish()
        let most = 500 * bytes.count + 20 * limits.inflatedBytes
        try require(examiner.examinedBytes <= most, "\(examiner.examinedBytes) octets of \(bytes.count)")
        return structure
    }
    try check(structure, limits)
}

/// The same for a message that is nothing but an archive.
func checkZip(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let header = Array("Content-Type: application/zip; name=a.zip\r\n\r\n".utf8)
    try checkMIME(header + bytes, arrivals)
}

private func check(_ structure: MIMEStructure, _ limits: MIMELimits) throws(Violation) {
    let paths = structure.parts.map(\.path)
    try require(paths.first == "1", "\(paths)")
    try require(Set(paths).count == paths.count && paths.count <= limits.parts, "\(paths)")
    for part in structure.parts {
        if let dot = part.path.lastIndex(of: ".") {
            try require(paths.contains(String(part.path[..<dot])), "\(part.path) has none around it")
        }
        try require(part.type.isASCII && part.type.isPrintable, "type \(part.type.debugDescription)")
        try require(Set(part.names).count == part.names.count && part.names.count <= limits.names, "\(part.names)")
        for name in part.names {
            try require(!name.isEmpty && name.utf8.count <= 3 * limits.nameBytes, "\(name.debugDescription)")
        }
        if let archive = part.archive {
            try require(archive.entries.count <= 8 * limits.archiveEntries, "\(archive.entries.count) entries")
            try require(archive.entries.allSatisfy { $0.containers.count <= limits.archiveDepth }, "\(archive)")
        }
    }
    try require(Set(structure.defects).count == structure.defects.count, "\(structure.defects)")
}
