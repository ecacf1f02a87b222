package import Mail

/// The services of a master.cf (master(5)).
package struct MasterFile: Sendable {
    package struct Service: Hashable, Sendable {
        /// `smtp`, `25`, `127.0.0.1:smtp`, or the name of a transport.
        package let name: String
        /// `inet`, `unix`, `fifo`, `pass`, `unix-dgram`.
        package let type: String
        package let process: Field
        /// The program, such as `smtpd`.
        package let command: String
        /// Settings that hold in this service only, from `-o name=value`.
        package let overrides: [Override]
        /// The other arguments.
        package let arguments: [String]
        package let line: Int

        package struct Field: Hashable, Sendable {
            /// The most processes; nil for the usual number.
            package let limit: Int?
        }

        package struct Override: Hashable, Sendable {
            package let name: String
            package let value: String
            package let line: Int
        }

        /// The port of an `inet` service with its address; nil for others.
        package var endpoint: (host: String, port: String)? {
            guard self.type == "inet" else { return nil }
            guard let colon = self.name.lastIndex(of: ":") else { return ("", self.name) }
            var host = String(self.name[..<colon])
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            return (host, String(self.name[self.name.index(after: colon)...]))
        }

        package func override(_ name: String) -> Override? { self.overrides.last { $0.name == name } }
    }

    package let file: String
    package let services: [Service]

    package static func empty(file: String) -> MasterFile { MasterFile(file: file, services: []) }

    private init(file: String, services: [Service]) {
        self.file = file
        self.services = services
    }

    /// - Throws: what makes the master(8) refuse the file.
    package init(_ text: String, file: String) throws(FileError) {
        var services: [Service] = []
        for line in LogicalText(text).lines { services.append(try Self.service(line, file)) }
        self.init(file: file, services: services)
    }

    private static let types: Set<String> = ["inet", "unix", "fifo", "pass", "unix-dgram"]

    private static func service(_ line: LogicalText.Line, _ file: String) throws(FileError) -> Service {
        let words = Words.split(line.text, by: LogicalText.isSpace)
        func problem(_ message: String) -> FileError { FileError(file: file, line: line.number, message: message) }
        guard words.count >= 8 else {
            throw problem("a service has eight fields, this one has \(words.count): '\(words.joined(separator: " "))'")
        }
        guard Self.types.contains(words[1]) else { throw problem("'\(words[1])' is not a type of service") }
        for (name, word) in zip(["private", "unpriv", "chroot"], words[2...4]) where !["y", "n", "-"].contains(word) {
            throw problem("field '\(name)' is '\(word)', neither y, n nor -")
        }
        let (overrides, arguments) = try Self.arguments(words[8...], line, file)
        return Service(
            name: words[0], type: words[1], process: .init(limit: Int(words[6])), command: words[7],
            overrides: overrides, arguments: arguments, line: line.number)
    }

    private static func arguments(
        _ words: ArraySlice<String>, _ line: LogicalText.Line, _ file: String
    ) throws(FileError) -> ([Service.Override], [String]) {
        var overrides: [Service.Override] = []
        var arguments: [String] = []
        var rest = words
        while let word = rest.popFirst() {
            guard word == "-o" || (word.hasPrefix("-o") && word.contains("=")) else {
                arguments.append(word)
                continue
            }
            let text = word == "-o" ? rest.popFirst() : String(word.dropFirst(2))
            guard let text, let pair = Self.pair(Words.inside(text) ?? text) else {
                throw FileError(file: file, line: line.number, message: "-o needs name=value or {name = value}")
            }
            overrides.append(.init(name: pair.name, value: pair.value, line: Self.line(of: text, in: line)))
        }
        return (overrides, arguments)
    }

    private static func pair(_ text: String) -> (name: String, value: String)? {
        guard let equals = text.firstIndex(of: "=") else { return nil }
        let name = Words.trimmed(text[..<equals])
        return name.isEmpty ? nil : (name, Words.trimmed(text[text.index(after: equals)...]))
    }

    private static func line(of text: String, in line: LogicalText.Line) -> Int {
        let bytes = Array(line.text.utf8)
        let word = Array(text.utf8)
        guard bytes.count >= word.count else { return line.number }
        let start = (0...(bytes.count - word.count)).first { bytes[$0..<$0 + word.count].elementsEqual(word) }
        return start.map(line.number(at:)) ?? line.number
    }
}
