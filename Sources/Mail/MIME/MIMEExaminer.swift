/// Finds out what mail clients might show of a message, while its content goes by.
///
/// Clients are lenient, each in its own way, and who hides an attachment from a filter relies on that. So the message
/// is not read by the standard alone, but in every way that a client may, and the names are those of all ways together.
/// However the content is cut into pieces, the result is the same.
///
/// Memory, whatever the content: with the standard limits up to 1000 parts with 64 names of 1000 octets each if a
/// message spends all of its size on names; 1000 archive entries for each way to read a part, of which 96 are followed
/// at a time; 128 KB for a header; up to 4 messages encoded in each other, with the same each; and 64 inflaters of 40 KB
/// in each. A usual message takes some 10 KB. Time is linear in the size.
package struct MIMEExaminer {
    private var reader: EntityReader
    private var context: ExaminationContext

    /// - Parameter makeInflater: for archives in archives; without it, only the names in the outer one are found.
    package init(limits: MIMELimits = MIMELimits(), makeInflater: InflaterMaker? = nil) {
        self.reader = EntityReader(message: limits, encodedDepth: 0)
        self.context = ExaminationContext(limits: limits, makeInflater: makeInflater)
    }

    /// Takes the next octets of the content, whose lines end in CRLF or LF.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        self.reader.feed(bytes, &self.context)
    }

    /// At the end of the content. Nothing may be fed after it.
    package mutating func finish() -> MIMEStructure {
        let result = self.reader.finish(&self.context)
        var structure = MIMEStructure()
        structure.parts = result.parts
        structure.defects = result.defects
        return structure
    }

    /// How many octets were looked at so far, each as often as it was: what the time depends on.
    package var examinedBytes: Int { self.context.examinedBytes }
}

extension MIMEStructure {
    /// Examines content that is there as a whole.
    package init(
        of content: some Collection<UInt8>, limits: MIMELimits = MIMELimits(), makeInflater: InflaterMaker? = nil
    ) {
        var examiner = MIMEExaminer(limits: limits, makeInflater: makeInflater)
        Array(content).withUnsafeBytes { examiner.feed($0) }
        self = examiner.finish()
    }
}
