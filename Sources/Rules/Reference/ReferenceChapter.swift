/// A chapter of postern-rules(5), of which Markdown and roff are made elsewhere.
///
/// In texts, a line end is a blank, and what stands between backticks is what somebody would type.
package struct ReferenceChapter: Sendable {
    package enum Block: Sendable {
        case text(String)
        /// A title below that of the chapter.
        case title(String)
        /// Lines of a file, as they are.
        case example(String)
        case entries([ReferenceEntry])
    }

    package let title: String
    package let blocks: [Block]

    package init(_ title: String, _ blocks: [Block]) {
        self.title = title
        self.blocks = blocks
    }
}

/// Something that can be written into a file, and what it does.
package struct ReferenceEntry: Sendable {
    /// Different words for the same.
    package let names: [String]
    /// What stands behind each of them, such as `TABLE`; nil for nothing.
    package let argument: String?
    /// Not empty, each of one line.
    package let paragraphs: [String]

    package init(_ names: [String], argument: String? = nil, _ paragraphs: [String?]) {
        self.names = names
        self.argument = argument
        self.paragraphs = paragraphs.compactMap { $0?.inOneLine }.filter { !$0.isEmpty }
    }

    package init(_ name: String, _ argument: String?, _ text: String) {
        self.init([name], argument: argument, [text])
    }
}

extension String {
    /// With blanks instead of line ends.
    package var inOneLine: String { self.split(separator: "\n").joined(separator: " ") }
}
