import Daemon
import Mail
import PostfixImport

/// Logical lines are made of the physical ones, values of settings have no blanks around them, and whatever main.cf and
/// master.cf say, what comes of it is a configuration that can be read.
///
/// A line `%%` stands between main.cf, master.cf, and what every table holds.
func checkPostfixMain(_ bytes: [UInt8]) throws(Violation) {
    let parts = splitAtMarks(String(decoding: bytes, as: UTF8.self))
    try checkLogicalText(parts[0])
    try checkMainFile(parts[0])
    // It never traps; what it refuses has a line.
    do throws(FileError) { _ = try MasterFile(parts[1], file: "master.cf") } catch {
        try require(error.line != nil, "\(error)")
    }
    try checkImport(parts)
}

private func splitAtMarks(_ text: String) -> [String] {
    var parts = [""]
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        if line == "%%", parts.count < 3 { parts.append("") } else { parts[parts.count - 1] += line + "\n" }
    }
    return parts + Array(repeating: "", count: 3 - parts.count)
}

private func checkLogicalText(_ text: String) throws(Violation) {
    let physical = text.utf8.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false).map(Array.init)
    var last = 0
    for line in LogicalText(text).lines {
        try require(line.number > last, "line \(line.number) behind \(last)")
        let octets = line.parts.flatMap { physical[$0.number - 1] }
        try require(octets.elementsEqual(line.text.utf8), "\(shown(octets)) is not \(line.text.debugDescription)")
        try require(line.text.utf8.first.map(LogicalText.isSpace) == false, "a line that begins with a blank")
        for part in line.parts {
            try require(line.number(at: part.offset) == part.number || physical[part.number - 1].isEmpty, "\(part)")
            last = part.number
        }
    }
}

private func checkMainFile(_ text: String) throws(Violation) {
    let file: MainFile
    do { file = try MainFile(text, file: "main.cf") } catch { return try require(error.line != nil, "\(error)") }
    for setting in file.settings {
        try require(!setting.name.isEmpty && !setting.name.utf8.contains(where: LogicalText.isSpace), setting.name)
        let ends = [setting.value.utf8.first, setting.value.utf8.last].compactMap(\.self)
        try require(!ends.contains(where: LogicalText.isSpace), setting.value.debugDescription)
        try require(setting.line(of: setting.value) >= setting.line, "\(setting.line)")
    }
}

private func checkImport(_ parts: [String]) throws(Violation) {
    let files = PostfixFiles(read: { path in
        if path.hasSuffix("/main.cf") { return .text(parts[0], isDecoded: false) }
        if path.hasSuffix("/master.cf") { return .text(parts[1], isDecoded: false) }
        return parts[2].isEmpty ? .missing : .text(parts[2], isDecoded: false)
    })
    let result: ImportResult
    do {
        result = try PostfixImport.run(folder: "/p", files: files, machineName: "mx.example.test", rules: "/r")
    } catch {
        return
    }
    let yaml = result.files.first { $0.path == "postern.yaml" }?.text ?? ""
    do throws(FileErrors) { _ = try Configuration(yaml: yaml, file: "postern.yaml") } catch {
        throw Violation(description: "\(error.list)\n\(yaml)")
    }
    let names = result.files.map(\.path)
    try require(Set(names).count == names.count, "\(names)")
    let hasReasons = result.report.parameters.allSatisfy { $0.key != nil || $0.why != nil || $0.status == .default }
    try require(hasReasons, "\(result.report.parameters)")
}
