package import Mail

/// Makes a configuration of Postern of one of Postfix: main.cf, master.cf and the tables they name.
package enum PostfixImport {
    /// - Parameters:
    ///   - folder: where main.cf is.
    ///   - machineName: this machine's full name, for a main.cf without `myhostname`.
    ///   - rules: what stands in postern.yaml as the folder of tables.
    /// - Throws: why there is nothing to import: no main.cf, a template, or what Postfix itself would refuse.
    package static func run(
        folder: String, files: PostfixFiles, machineName: String, rules: String
    ) throws(FileError) -> ImportResult {
        let text = try Self.mainText(folder, files)
        let main = try MainFile(text, file: "\(folder)/main.cf")
        let master = try Self.master(folder, files)
        var importer = Importer(folder: folder, files: files, main: main, master: master, machineName: machineName)
        try importer.checkExpansions()
        importer.convert(rules: rules)
        return importer.result()
    }

    private static func mainText(_ folder: String, _ files: PostfixFiles) throws(FileError) -> String {
        let file = "\(folder)/main.cf"
        switch files.read(file) {
        case .text(let text, _):
            try Self.refuseTemplate(text, file)
            return text
        case .unreadable(let why): throw FileError(file: file, message: why)
        case .missing: break
        }
        for suffix in ["j2", "jinja", "jinja2", "tmpl", "template", "tpl", "erb", "in", "dist"] {
            guard case .text(let text, _) = files.read("\(file).\(suffix)") else { continue }
            try Self.refuseTemplate(text, "\(file).\(suffix)")
        }
        throw FileError(
            file: file,
            message: "there is no such file: name the folder of main.cf, such as /etc/postfix. Tables alone need no "
                + "import, Postern reads them as they are")
    }

    private static func master(_ folder: String, _ files: PostfixFiles) throws(FileError) -> MasterFile {
        let file = "\(folder)/master.cf"
        switch files.read(file) {
        case .text(let text, _):
            try Self.refuseTemplate(text, file)
            return try MasterFile(text, file: file)
        case .unreadable(let why): throw FileError(file: file, message: why)
        case .missing: return .empty(file: file)
        }
    }

    private static func refuseTemplate(_ text: String, _ file: String) throws(FileError) {
        guard let mark = TemplateMark.first(in: text) else { return }
        throw FileError(
            file: file, line: mark.line, column: mark.column,
            message: "'\(Words.oneLine(mark.text))': this is a template: render it first, and import what comes of it")
    }
}
