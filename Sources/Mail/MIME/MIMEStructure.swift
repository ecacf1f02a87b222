/// The parts of a message as mail clients might show them, and what is wrong with it.
package struct MIMEStructure: Hashable, Sendable {
    /// In the order in which they begin; containers stand before what they hold.
    package var parts: [MIMEPart] = []
    package var defects: [MIMEDefect] = []

    package init() {}
}

/// A part of a message, or the message itself.
package struct MIMEPart: Hashable, Sendable {
    /// `1` is the message, `1.2` its second part.
    package var path: String
    /// `text/plain`, in small letters; the first of several.
    package var type: String
    /// `attachment`, in small letters; the first of several.
    package var disposition: String?
    /// Every name that a client might show, the one by the standard first.
    package var names: [String] = []
    /// What the octets begin with, in any reading of the transfer encoding.
    package var contents: [ContentKind] = []
    /// What an archive holds; nil if no reading of the content has records of one.
    package var archive: ArchiveListing?

    package init(path: String, type: String, disposition: String? = nil) {
        self.path = path
        self.type = type
        self.disposition = disposition
    }

    /// Takes over what another reading of the same part has found.
    mutating func merge(_ other: MIMEPart) {
        for name in other.names where !self.names.contains(name) { self.names.append(name) }
        for kind in other.contents where !self.contents.contains(kind) { self.contents.append(kind) }
        if let archive = other.archive { self.add(archive) }
    }

    mutating func add(_ listing: ArchiveListing) {
        var merged = self.archive ?? ArchiveListing()
        merged.merge(listing)
        self.archive = merged
    }
}

/// The names in an archive.
package struct ArchiveListing: Hashable, Sendable {
    package var entries: [ArchiveEntry] = []
    /// An entry or the list of entries is encrypted.
    package var isEncrypted = false
    /// A limit was reached: there may be more.
    package var isTruncated = false

    package init() {}

    mutating func merge(_ other: ArchiveListing) {
        self.isEncrypted = self.isEncrypted || other.isEncrypted
        self.isTruncated = self.isTruncated || other.isTruncated
        guard self.entries != other.entries else { return }
        let known = Set(self.entries)
        self.entries += other.entries.filter { !known.contains($0) }
    }
}

/// A file in an archive.
package struct ArchiveEntry: Hashable, Sendable {
    package var name: String
    /// The archives it lies in below the attachment, from the outermost.
    package var containers: [String]
    package var isEncrypted: Bool
    package var content: ContentKind?

    package init(name: String, containers: [String] = [], isEncrypted: Bool = false, content: ContentKind? = nil) {
        self.name = name
        self.containers = containers
        self.isEncrypted = isEncrypted
        self.content = content
    }
}

/// Something that a client may read in its own way, or a limit that was reached.
package struct MIMEDefect: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        // What clients may disagree about.
        case duplicateField = "a Content field comes more than once"
        case duplicateParameter = "a parameter comes more than once"
        case malformedParameter = "a parameter is not written as it must be"
        case malformedField = "a field is not written as it must be"
        case missingSeparator = "the header does not end in an empty line"
        case missingBoundary = "a multipart without boundary"
        case severalBoundaries = "a multipart with more than one boundary"
        case undeclaredBoundary = "a boundary that is not declared"
        case inexactBoundary = "a boundary that is not quite the declared one"
        case missingParts = "a multipart without parts"
        case missingTerminator = "a multipart without its end"
        case partAfterEnd = "a part after the end of the multipart"
        case severalEncodings = "more than one transfer encoding"
        case unknownEncoding = "an unknown transfer encoding"
        case encodedContainer = "a transfer encoding around other parts"
        case malformedEncoding = "content that does not follow its transfer encoding"
        case bareCarriageReturn = "a CR without LF"
        // Limits.
        case headerTooLong = "a header is too long"
        case tooManyParts = "too many parts"
        case tooDeep = "parts are nested too deep"
        case tooManyNames = "too many names"
        case nameTooLong = "a name is too long"
        case tooManyBoundaries = "too many boundaries"
        case tooManyReadings = "too many ways to read the content"
    }

    package let kind: Kind
    package let path: String

    package init(_ kind: Kind, path: String) {
        self.kind = kind
        self.path = path
    }
}

/// How much of a message is examined. Reaching a limit is a defect, in an archive a truncated listing.
package struct MIMELimits: Hashable, Sendable {
    /// Parts of the message, with those of messages that lie encoded in it.
    package var parts = 1000
    package var depth = 50
    /// Transfer-encoded messages inside each other.
    package var encodedDepth = 4
    /// Of Content fields in one header.
    package var headerBytes = 131_072
    package var fields = 64
    /// Occurrences of a name or boundary in one header.
    package var parameters = 128
    package var names = 64
    package var nameBytes = 1000
    /// Of a boundary (RFC 2046 §5.1.1 has 70), and with it of a line that could be one.
    package var boundaryBytes = 2048
    /// Boundaries that are looked for at the same time.
    package var boundaries = 128
    /// Ways to decode that are followed at the same time, each of them in up to six where its content is malformed.
    package var readings = 16
    package var archiveEntries = 1000
    /// Archives in archives; 0 looks only at the names in an attached one.
    package var archiveDepth = 3
    /// Octets that are inflated for one message.
    package var inflatedBytes = 50_000_000

    package init() {}
}
