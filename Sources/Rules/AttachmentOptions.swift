package import Mail

/// What is done about attachments.
package struct AttachmentOptions: Options, OptionValue {
    package var rules: [AttachmentRule] = []
    package var defects = DefectAction.ignore
    package var archives = ArchiveOptions()

    package init() {}

    package static let summary =
        "Which attachments are refused. Names are those that any mail client might show, with what zip archives hold."

    package static let fields: [OptionField<AttachmentOptions>] = [
        .init("rules", \.rules, "In this order: the first that rejects or holds decides; warnings are logged."),
        .init(
            "defects", \.defects,
            "What is done with a message that mail clients read in different ways, or that is too large to be examined."
        ),
        .init("archives", \.archives, "How far archives are looked into."),
    ]

    /// What the examiner gets.
    package var limits: MIMELimits {
        var limits = MIMELimits()
        limits.archiveEntries = self.archives.entries
        limits.archiveDepth = self.archives.depth
        limits.inflatedBytes = self.archives.size.bytes
        return limits
    }
}

/// Of messages with defects and of archives that were not seen whole.
package enum DefectAction: String, CaseIterable, Sendable, OptionValue {
    case ignore
    case warn
    case hold
    case reject
}

package struct ArchiveOptions: Options, OptionValue {
    /// More than almost any archive that is mailed has.
    package var entries = 1000
    package var depth = 3
    /// Of one message, after which nothing is inflated any more: about half a second.
    package var size = ByteCount(50_000_000)

    package init() {}

    package static let summary = "What lies beyond these limits is not seen, which counts as a defect."

    package static let fields: [OptionField<ArchiveOptions>] = [
        .init("entries", \.entries, "Names in an archive, with those in archives in it."),
        .init("depth", \.depth, "Archives in archives; 0 looks only at the names in an attached one."),
        .init("size", \.size, "What is inflated of one message."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.entries <= 100_000 else {
            throw OptionProblem("more than 100000 entries would take too much memory")
        }
        guard self.depth <= 10 else { throw OptionProblem("a depth of more than 10 would take too much memory") }
    }
}

/// A rule with its place in the configuration.
package struct AttachmentRule: Sendable, OptionValue {
    package let settings: AttachmentRuleOptions
    package let place: OptionPlace

    package init(_ settings: AttachmentRuleOptions, at place: OptionPlace) {
        self.settings = settings
        self.place = place
    }

    package static var optionSyntax: String { AttachmentRuleOptions.optionSyntax }
    package static var optionReference: OptionReference? { AttachmentRuleOptions.optionReference }

    package init(option node: OptionNode) throws(OptionError) {
        self.init(try AttachmentRuleOptions(option: node), at: node.place)
    }

    package var optionText: String { "" }
}

package struct AttachmentRuleOptions: Options, OptionValue {
    package var names = OneOrMore<NamePattern>()
    package var table: String?
    package var encrypted = false
    package var content = OneOrMore<ContentKind>()
    package var scope = AttachmentScope.both
    package var action: AttachmentAction?
    package var text: String?

    package init() {}

    package static let summary = "One of `names`, `table`, `encrypted` and `content`, and what is done."

    package static let fields: [OptionField<AttachmentRuleOptions>] = [
        .init("names", \.names, "Extensions and patterns of names, case aside."),
        .init(
            "table", \.table,
            "A table such as pcre:attachments.pcre that is asked for each name; its values are REJECT, HOLD or WARN with a text, or DUNNO. Tables with keys are also asked for the extensions: .tar.gz, .gz."
        ),
        .init("encrypted", \.encrypted, "Archives with an encrypted entry or list of entries."),
        .init("content", \.content, "What the content is by its first octets, whatever its name says."),
        .init("in", \.scope, "Where: attachments of the message, what archives hold, or both."),
        .init("action", \.action, "reject, hold or warn; for a table, its values say it."),
        .init("text", \.text, "The text of the reply."),
    ]

    package func validate() throws(OptionProblem) {
        let conditions = [!self.names.values.isEmpty, self.table != nil, self.encrypted, !self.content.values.isEmpty]
        guard conditions.count(where: { $0 }) == 1 else {
            throw OptionProblem("expected one of 'names', 'table', 'encrypted' and 'content'")
        }
        guard (self.table == nil) == (self.action != nil) else {
            throw OptionProblem(
                self.table == nil ? "'action' is missing" : "'action' has no meaning with 'table': its values say it")
        }
    }
}

package enum AttachmentAction: String, CaseIterable, Sendable, OptionValue {
    case reject
    case hold
    case warn
}

package enum AttachmentScope: String, CaseIterable, Sendable, OptionValue {
    case message
    case archive
    case both
}

extension ContentKind: OptionValue {}

/// A value, or a list of them.
package struct OneOrMore<Value: OptionValue>: OptionValue {
    package var values: [Value]

    package init(_ values: [Value] = []) {
        self.values = values
    }

    package static var optionSyntax: String { "\(Value.optionSyntax), or a list of such" }

    package init(option node: OptionNode) throws(OptionError) {
        if case .scalar = node.content {
            self.values = [try Value(option: node)]
        } else {
            self.values = try [Value](option: node)
        }
    }

    package var optionText: String { self.values.isEmpty ? "" : self.values.optionText }
}
