package import Mail

/// A report: tables with a title each. Text, HTML and JSON are made of it.
package struct MailReport: Sendable {
    package enum Cell: Hashable, Sendable {
        case text(String)
        case count(Int)
        case bytes(Int)
        case seconds(Double)
        /// 0 to 1.
        case share(Double)
    }

    package struct Column: Hashable, Sendable {
        /// In JSON.
        package let key: String
        package let title: String

        package init(_ key: String, _ title: String) {
            self.key = key
            self.title = title
        }
    }

    package struct Section: Hashable, Sendable {
        /// In JSON.
        package let key: String
        package let title: String
        package let columns: [Column]
        package var rows: [[Cell]]
        /// Of rows that are a name and a number: the names in JSON.
        package var names: [String] = []
        /// What has to be known of the numbers.
        package var remark: String?
        /// Whether people are told that there is nothing.
        package var isShownEmpty = false

        package init(_ key: String, _ title: String, _ columns: [Column], _ rows: [[Cell]]) {
            self.key = key
            self.title = title
            self.columns = columns
            self.rows = rows
        }
    }

    package let hostname: String
    package let period: Range<Timestamp>
    package let zone: LogZone
    package var sections: [Section]

    package init(hostname: String, period: Range<Timestamp>, zone: LogZone, sections: [Section]) {
        self.hostname = hostname
        self.period = period
        self.zone = zone
        self.sections = sections
    }

    /// `2026-11-20`, if it is that day.
    package var periodText: String {
        let (start, end) = (self.period.lowerBound, self.period.upperBound)
        if self.zone.midnight(start) == start, self.zone.midnight(start, daysLater: 1) == end {
            return self.zone.date(start)
        }
        return "\(self.zone.text(start)) to \(self.zone.text(end))"
    }

    package var title: String { "Postern report for \(self.hostname), \(self.periodText)" }

    /// Those that people see.
    var shownSections: [Section] { self.sections.filter { !$0.rows.isEmpty || $0.isShownEmpty } }

    package func section(_ key: String) -> Section? { self.sections.first { $0.key == key } }
}

extension MailReport.Cell {
    /// For people.
    var shown: String {
        switch self {
        case .text(let text): text.printable(maximumBytes: 400)
        case .count(let count): "\(count)"
        case .bytes(let count): Amount.bytes(count)
        case .seconds(let seconds): Amount.seconds(seconds)
        case .share(let share): "\(Amount.decimal(share * 100)) %"
        }
    }

    var isText: Bool {
        if case .text = self { true } else { false }
    }
}

// MARK: - JSON

extension MailReport {
    /// One document: `hostname`, `start`, `end`, and an array of objects for each section.
    package var json: [UInt8] {
        var output: [UInt8] = []
        func member(_ key: String, _ value: String) {
            output.append(output.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
            JSONText.append(key, to: &output)
            output.append(UInt8(ascii: ":"))
            JSONText.append(value, to: &output)
        }
        member("hostname", self.hostname)
        member("start", self.period.lowerBound.rfc3339)
        member("end", self.period.upperBound.rfc3339)
        for section in self.sections {
            output.append(UInt8(ascii: ","))
            JSONText.append(section.key, to: &output)
            output += section.isObject ? section.jsonObject : section.jsonArray
        }
        output.append(UInt8(ascii: "}"))
        return output
    }
}

extension MailReport.Section {
    /// Rows of names and numbers are members of one object.
    fileprivate var isObject: Bool { !self.names.isEmpty }

    fileprivate var jsonObject: [UInt8] {
        var output: [UInt8] = Array(":{".utf8)
        for (index, row) in self.rows.enumerated() where row.count == 2 {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            JSONText.append(index < self.names.count ? self.names[index] : row[0].shown, to: &output)
            output.append(UInt8(ascii: ":"))
            row[1].append(to: &output)
        }
        return output + "}".utf8
    }

    fileprivate var jsonArray: [UInt8] {
        var output: [UInt8] = Array(":[".utf8)
        for (index, row) in self.rows.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            output.append(UInt8(ascii: "{"))
            for (place, (column, cell)) in zip(self.columns, row).enumerated() {
                if place > 0 { output.append(UInt8(ascii: ",")) }
                JSONText.append(column.key, to: &output)
                output.append(UInt8(ascii: ":"))
                cell.append(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
        return output + "]".utf8
    }
}

extension MailReport.Cell {
    fileprivate func append(to output: inout [UInt8]) {
        switch self {
        case .text(let text): JSONText.append(text, to: &output)
        case .count(let number), .bytes(let number): output += "\(number)".utf8
        case .seconds(let number), .share(let number):
            // Three places; neither is infinite.
            let thousandths = Int((min(max(number, -1e12), 1e12) * 1000).rounded())
            let fraction = String(String(abs(thousandths % 1000) + 1000).dropFirst())
            output += "\(thousandths < 0 ? "-" : "")\(abs(thousandths) / 1000).\(fraction)".utf8
        }
    }
}
