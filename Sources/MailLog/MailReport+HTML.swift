extension MailReport {
    /// One document without anything from elsewhere: no scripts, pictures or style sheets. Mail clients keep the
    /// styles of elements and throw others away.
    package var html: String {
        var html = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>\(Self.escaped(self.title))</title></head>
            <body style="font-family: sans-serif; font-size: 14px; color: #222222; background-color: #ffffff">
            <h1 style="font-size: 20px">\(Self.escaped(self.title))</h1>

            """
        for section in self.shownSections {
            html += "<h2 style=\"font-size: 16px; margin: 20px 0 4px 0\">\(Self.escaped(section.title))</h2>\n"
            html += section.rows.isEmpty ? "<p>none</p>\n" : Self.table(section)
            if let remark = section.remark {
                html += "<p style=\"color: #666666; margin: 4px 0\">\(Self.escaped(remark))</p>\n"
            }
        }
        return html + "</body></html>\n"
    }

    private static func table(_ section: Section) -> String {
        var html = "<table cellspacing=\"0\" cellpadding=\"3\" style=\"border-collapse: collapse\">\n"
        if section.columns.contains(where: { !$0.title.isEmpty }) {
            let cells = section.columns.enumerated().map { index, column in
                let isText = section.rows.first?[index].isText ?? true
                return
                    "<th style=\"\(Self.style(isText)); background-color: #eeeeee\">\(Self.escaped(column.title))</th>"
            }
            html += "<tr>\(cells.joined())</tr>\n"
        }
        for row in section.rows {
            let cells = row.map { "<td style=\"\(Self.style($0.isText))\">\(Self.escaped($0.shown))</td>" }
            html += "<tr>\(cells.joined())</tr>\n"
        }
        return html + "</table>\n"
    }

    private static func style(_ isText: Bool) -> String {
        "text-align: \(isText ? "left" : "right"); border-bottom: 1px solid #dddddd; vertical-align: top"
    }

    /// What stands for itself in elements and attributes.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case let other: result.unicodeScalars.append(other)
            }
        }
        return result
    }
}
