/// A group of settings. Each target declares its own; `Daemon` reads the configuration file into them once.
///
/// The properties are variables only so that reading can fill them; a finished value is passed on as a constant.
package protocol Options: Sendable {
    /// The defaults.
    init()
    /// One sentence on what the group is about, for the reference page.
    static var summary: String { get }
    /// Every key of the group, in the order of the reference page.
    static var fields: [OptionField<Self>] { get }
    /// Whether the values fit together. An error is reported at the group's place in the file.
    func validate() throws(OptionProblem)
}

extension Options {
    package func validate() throws(OptionProblem) {}
}

/// One key of a group: its name in the file, where its value goes, and its line in the reference page.
package struct OptionField<Group: Options>: Sendable {
    package let key: String
    package let explanation: String
    /// What may stand there: `a duration such as 10d`.
    package let syntax: String
    /// The keys of the group that this key holds; nil for a plain value.
    package let nested: OptionReference?
    package let defaultText: @Sendable (Group) -> String
    package let set: @Sendable (inout Group, OptionNode) throws(OptionError) -> Void

    package init<Value: OptionValue>(
        _ key: String, _ path: any WritableKeyPath<Group, Value> & Sendable, _ explanation: String
    ) {
        self.key = key
        self.explanation = explanation
        self.syntax = Value.optionSyntax
        self.nested = Value.optionReference
        self.defaultText = { $0[keyPath: path].optionText }
        self.set = { (group, node) throws(OptionError) in group[keyPath: path] = try Value(option: node) }
    }
}

/// A line of the reference page, and below it those of the group it holds.
package struct OptionReference: Sendable {
    package struct Line: Sendable {
        package let key: String
        package let syntax: String
        package let defaultText: String
        package let explanation: String
        package let nested: OptionReference?
    }

    package let summary: String
    package let lines: [Line]

    package init<Group: Options>(_ group: Group.Type) {
        self.summary = Group.summary
        self.lines = Group.fields.map {
            Line(
                key: $0.key, syntax: $0.syntax, defaultText: $0.defaultText(Group()), explanation: $0.explanation,
                nested: $0.nested)
        }
    }
}

/// A piece of a configuration file with the place where it stands.
package struct OptionNode: Sendable {
    package enum Content: Sendable {
        case scalar(String)
        case list([OptionNode])
        case map([(key: String, place: OptionPlace, value: OptionNode)])
    }

    package let content: Content
    package let place: OptionPlace

    package init(_ content: Content, at place: OptionPlace) {
        self.content = content
        self.place = place
    }

    package func error(_ message: String) -> OptionError { OptionError(place: self.place, message: message) }

    /// The text of a scalar.
    package func scalar(expected syntax: String) throws(OptionError) -> String {
        guard case .scalar(let text) = self.content else { throw self.error("expected \(syntax)") }
        return text
    }
}

/// Line and column of a file, from 1.
package struct OptionPlace: Hashable, Sendable {
    package let line: Int
    package let column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// What is wrong in a configuration file, and where.
package struct OptionError: Error, Hashable, Sendable {
    package let place: OptionPlace
    package let message: String
    /// What else is wrong in the same group or list, which was read to its end.
    private var others: [OptionError] = []

    package init(place: OptionPlace, message: String) {
        self.place = place
        self.message = message
    }

    /// The first error with the others behind it; nil if there are none.
    init?(gathered errors: [OptionError]) {
        guard let first = errors.first else { return nil }
        self.init(place: first.place, message: first.message)
        self.others = Array(errors.dropFirst())
    }

    /// Every error, each alone.
    package var all: [OptionError] { [OptionError(place: self.place, message: self.message)] + self.others }
}

/// What is wrong with values that do not fit together.
package struct OptionProblem: Error, Sendable {
    package let message: String

    package init(_ message: String) {
        self.message = message
    }
}

/// Something that can be the value of a key.
package protocol OptionValue: Sendable {
    /// What the reference page and error messages call it.
    static var optionSyntax: String { get }
    static var optionReference: OptionReference? { get }
    init(option node: OptionNode) throws(OptionError)
    /// The value as it would stand in the file.
    var optionText: String { get }
}

extension OptionValue {
    package static var optionReference: OptionReference? { nil }
}

// A group is a value too: it can stand below a key of another.
extension Options where Self: OptionValue {
    package static var optionSyntax: String { "a group of keys" }
    package static var optionReference: OptionReference? { OptionReference(Self.self) }
    package var optionText: String { "" }

    /// Reads each key into its field. An unknown or repeated key is an error where it stands.
    ///
    /// - Throws: every error of the group. Whether values fit together is asked when each of them is right.
    package init(option node: OptionNode) throws(OptionError) {
        guard case .map(let entries) = node.content else { throw node.error("expected keys with values") }
        self.init()
        var seen: Set<String> = []
        var errors: [OptionError] = []
        for (key, place, value) in entries {
            guard let field = Self.fields.first(where: { $0.key == key }) else {
                errors.append(
                    OptionError(place: place, message: "unknown key '\(key)'\(Self.suggestion(for: key))"))
                continue
            }
            guard seen.insert(key).inserted else {
                errors.append(OptionError(place: place, message: "key '\(key)' is repeated"))
                continue
            }
            do { try field.set(&self, value) } catch { errors += error.all }
        }
        if let error = OptionError(gathered: errors) { throw error }
        do { try self.validate() } catch { throw node.error(error.message) }
    }

    private static func suggestion(for key: String) -> String {
        let close = Self.fields.map(\.key).first { candidate in
            candidate.hasPrefix(key) || key.hasPrefix(candidate) || Set(candidate).symmetricDifference(key).count < 2
        }
        return close.map { ", did you mean '\($0)'?" } ?? ""
    }
}
