/// What a daily store keeps under a key.
package struct DailyRecord: Hashable, Sendable {
    package let day: ReportDay
    /// Of a row how often it was observed, of a group its rows.
    package var count: UInt64
    package var payload: [UInt8]

    package init(day: ReportDay, count: UInt64, payload: [UInt8]) {
        self.day = day
        self.count = count
        self.payload = payload
    }

    static let format: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.byte(Self.format)
        writer.number(self.day.number)
        writer.number(self.count)
        return writer.bytes + self.payload
    }

    /// Nil for another format and for what is damaged.
    package init?(record bytes: [UInt8]) {
        var reader = RecordReader(bytes)
        guard reader.byte() == Self.format, let day = reader.number(Int32.self), let count = reader.number(UInt64.self)
        else { return nil }
        self.init(day: ReportDay(number: day), count: count, payload: Array(reader.rest))
    }
}
