/// What is told of DNS lists.
enum DNSListWarnings {
    static func unfiltered(_ zone: String) -> String {
        "\(zone) has no filter: Postfix counts any answer, error codes such as 127.255.255.254 too, which then refuse "
            + "all mail. Postern does not count those; still, write \(zone)=127.0.0.[2..11] or what the list documents"
    }

    /// Nil for a list that is alive, as far as is known.
    ///
    /// - Parameter zone: lower case.
    static func closed(_ zone: String) -> String? {
        self.zones.first { zone == $0.key || zone.hasSuffix(".\($0.key)") }
            .map { "\(zone) \($0.value): asking it costs time, or refuses all mail; left out" }
    }

    private static let zones: [String: String] = [
        "sorbs.net": "was closed in June 2024", "njabl.org": "was closed in March 2013",
        "ahbl.org": "was closed and since January 2015 lists everybody",
        "spamcannibal.org": "was closed in 2018 and then listed everybody", "dsbl.org": "was closed in 2008",
        "ordb.org": "was closed in 2006 and later listed everybody", "rfc-ignorant.org": "was closed in 2012",
        "ix.dnsbl.manitu.net": "was closed in January 2025",
    ]
}
