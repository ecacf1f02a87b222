import Mail

/// TLS in both directions, and logins at next hops.
extension Importer {
    mutating func convertTLS() {
        self.convertServerTLS()
        self.convertClientTLS()
        self.convertLogins()
    }

    // MARK: Who brings mail

    private mutating func convertServerTLS() {
        let smtpd = self.services.smtpd
        let level = self.value("smtpd_tls_security_level", in: smtpd)
        let use = self.value("smtpd_use_tls", in: smtpd)
        let enforce = self.value("smtpd_enforce_tls", in: smtpd)
        var text = level.text.lowercased()
        if text.isEmpty { text = enforce.isYes ? "encrypt" : use.isYes ? "may" : "none" }
        let setter = level.isEmpty ? (enforce.isYes ? enforce : use) : level
        let pairs = self.certificates(smtpd)
        guard text != "none", !pairs.isEmpty else {
            self.set(
                "tls.enabled", .scalar("false"), from: setter,
                note: text == "none" ? nil : "There is no certificate, without which Postfix does not offer TLS.")
            return
        }
        if setter.isSet { self.mark(setter, .default) }
        if text == "encrypt" {
            self.set("tls.required", .scalar("true"), from: setter)
            self.warn(
                setter, "TLS is required of everybody who brings mail: a server with an MX record must not (RFC 3207)")
        }
        self.writeCertificates(pairs)
        self.convertMinimum("smtpd_tls_\(text == "encrypt" ? "mandatory_" : "")protocols", "tls.minimum_version", smtpd)
    }

    private struct Certificate {
        let chain: String
        let key: String
        let value: Value
    }

    private func certificates(_ service: MasterFile.Service?) -> [Certificate] {
        let chains = self.value("smtpd_tls_chain_files", in: service)
        if !chains.isEmpty {
            // One file may hold both, and Postfix takes them in any order: key first, then chain.
            let words = chains.words
            if words.count == 1 { return [Certificate(chain: words[0], key: words[0], value: chains)] }
            return stride(from: 0, to: words.count - 1, by: 2).map {
                Certificate(chain: words[$0 + 1], key: words[$0], value: chains)
            }
        }
        return ["eccert", "cert", "dcert"].compactMap { name in
            let value = self.value("smtpd_tls_\(name)_file", in: service)
            guard !value.isEmpty, value.text != "none" else { return nil }
            let keyName = "smtpd_tls_\(name.replacing("cert", with: "key"))_file"
            let key = self.value(keyName, in: service).text
            return Certificate(chain: value.text, key: key.isEmpty ? value.text : key, value: value)
        }
    }

    private mutating func writeCertificates(_ certificates: [Certificate]) {
        var items: [YAMLWriter.Item] = []
        var suggestions: [String] = []
        for certificate in certificates {
            let text = "{chain: \(YAMLWriter.quoted(certificate.chain)), key: \(YAMLWriter.quoted(certificate.key))}"
            self.mark(certificate.value, .converted, key: "tls.certificates")
            for name in ["smtpd_tls_key_file", "smtpd_tls_eckey_file", "smtpd_tls_dkey_file"] where self.isSet(name) {
                self.mark(name, .converted, key: "tls.certificates")
            }
            if self.isHere(certificate.chain), self.isHere(certificate.key) {
                items.append(.init(text: text, isFlow: true))
            } else {
                suggestions.append(text)
                self.warn(
                    certificate.value,
                    "\(certificate.chain) or its key is not here: tls.certificates is a comment, and Postern makes a "
                        + "certificate of its own until you put the files there")
            }
        }
        let about = certificates.first.map { [self.comment($0.value)] } ?? []
        let suggestion = YAMLWriter.Value.suggestion("[\(suggestions.joined(separator: ", "))]")
        self.yaml.set("tls.certificates", items.isEmpty ? suggestion : .list(items), comments: about)
    }

    /// `!SSLv2, !SSLv3`, `>=TLSv1.2`, `TLSv1.2`: the oldest version that is left.
    private mutating func convertMinimum(_ name: String, _ key: String, _ service: MasterFile.Service?) {
        let value = self.value(name, in: service)
        let versions = ["tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"]
        let words = Words.split(value.text) {
            LogicalText.isSpace($0) || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: ":")
        }
        .map { $0.lowercased() }
        var allowed = Set(versions)
        let named = words.filter { versions.contains($0) }
        if !named.isEmpty { allowed = Set(named) }
        for word in words {
            if word.hasPrefix("!") { allowed.remove(String(word.dropFirst())) }
            guard word.hasPrefix(">=") else { continue }
            let least = Words.trimmed(word.dropFirst(2))
            allowed = allowed.filter { version in
                (versions.firstIndex(of: version) ?? 0) >= (versions.firstIndex(of: least) ?? 0)
            }
        }
        guard let oldest = versions.first(where: allowed.contains) else { return }
        let shown = oldest.replacing("tlsv", with: "TLSv")
        if ["tlsv1", "tlsv1.1"].contains(oldest) {
            return self.mark(value, .default, why: "TLS below 1.2 is never used here")
        }
        self.convert(value, key, shown, isStandard: oldest == "tlsv1.2")
    }

    mutating func convertClientCertificates() {
        let smtpd = self.services.smtpd
        let ask = self.value("smtpd_tls_ask_ccert", in: smtpd)
        if ask.isYes || self.value("smtpd_tls_req_ccert", in: smtpd).isYes {
            self.set("tls.client_certificates", .scalar("true"), from: ask)
        }
        let table = self.value("relay_clientcerts", in: smtpd)
        let digest = self.value("smtpd_tls_fingerprint_digest", in: smtpd)
        guard let word = table.words.first else { return }
        if digest.text.lowercased() != "sha256" {
            self.warn(
                table,
                "fingerprints are by \(digest.text) (smtpd_tls_fingerprint_digest); Postern looks up SHA-256: make "
                    + "them anew, or nobody is permitted by them")
        }
        guard let converted = self.table(word, .fingerprints, of: table) else { return }
        self.set("tls.relay_certificates", .scalar(converted.name), from: table)
    }

    // MARK: Next hops

    private static let levels: Set<String> = [
        "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure",
    ]

    private mutating func convertClientTLS() {
        let level = self.value("smtp_tls_security_level", in: self.services.client)
        let use = self.value("smtp_use_tls", in: self.services.client)
        let enforce = self.value("smtp_enforce_tls", in: self.services.client)
        var text = level.text.lowercased()
        if text.isEmpty { text = enforce.isYes ? "verify" : use.isYes ? "may" : "none" }
        let setter = level.isEmpty && (enforce.isYes || use.isYes) ? (enforce.isYes ? enforce : use) : level
        if ["half-dane", "half_dane"].contains(text) || !Self.levels.contains(text) {
            self.warn(setter, "smtp_tls_security_level = \(text) is no level: it becomes may")
            text = "may"
        }
        let resolves = self.value("smtp_dns_support_level", in: self.services.client).text.lowercased() == "dnssec"
        if text.hasPrefix("dane"), !resolves {
            self.warn(
                setter,
                "smtp_tls_security_level = \(text) without smtp_dns_support_level = dnssec: Postfix uses no TLSA "
                    + "records so; here they count where resolver.trust_anchor is set")
        }
        self.convert(setter, "forwarder.tls.level", text, isStandard: text == "dane")
        self.yaml.set(
            "forwarder.tls.mta_sts", .scalar("false"),
            comments: ["Postfix knows no MTA-STS; you may take this line out."])
        if text != "none" {
            let kind = ["may", "dane"].contains(text) ? "" : "mandatory_"
            self.convertMinimum("smtp_tls_\(kind)protocols", "forwarder.tls.minimum_version", self.services.client)
        }
        if text.hasPrefix("dane") { self.setTrustAnchor() }
        self.convertInsecureMX()
        self.convertClientAuthorities()
        let policy = self.value("smtp_tls_policy_maps", in: self.services.client)
        self.convertSingleTable(policy, .tlsPolicy, "forwarder.tls.policy")
    }

    /// Without the root's key nothing is proven, and TLSA records count for nothing.
    private mutating func setTrustAnchor() {
        let file = "/usr/share/dns/root.key"
        self.yaml.set(
            "resolver.trust_anchor", self.isHere(file) ? .scalar(file) : .suggestion(file),
            comments: ["smtp_dns_support_level: the key of the root, from Debian's package dns-root-data"])
    }

    private mutating func convertInsecureMX() {
        let value = self.value("smtp_tls_dane_insecure_mx_policy", in: self.services.client)
        guard value.isSet else { return }
        guard ["dane", "encrypt", "may"].contains(value.text.lowercased()) else {
            return self.mark(value, .unsupported, why: "'\(value.text)' is not dane, encrypt or may")
        }
        self.convert(value, "forwarder.tls.insecure_mx", value.text.lowercased(), isStandard: value.text == "dane")
    }

    private mutating func convertClientAuthorities() {
        let file = self.value("smtp_tls_CAfile", in: self.services.client)
        guard file.isSet, !file.isEmpty else { return }
        guard self.isHere(file.text) else {
            self.mark(file, .converted, key: "forwarder.tls.authorities", why: "as a comment: the file is not here")
            self.yaml.set("forwarder.tls.authorities", .suggestion(file.text), comments: [self.comment(file)])
            return
        }
        self.set("forwarder.tls.authorities", .scalar(file.text), from: file)
    }

    /// The first table of a parameter, where Postern takes one.
    mutating func convertSingleTable(_ value: Value, _ use: TableUse, _ key: String) {
        guard value.isSet else { return }
        guard !value.isEmpty else { return self.mark(value, .default) }
        let tables = value.words.compactMap { self.table($0, use, of: value) }
        guard let first = tables.first else {
            return self.mark(value, .unsupported, why: "no table of it can be had")
        }
        self.set(key, .scalar(first.name), from: value)
        if tables.count > 1 {
            self.warn(
                value, "\(value.name) has several tables, and Postern takes one: put the others into \(first.name)")
        }
    }

    private mutating func convertLogins() {
        let enable = self.value("smtp_sasl_auth_enable", in: self.services.client)
        let passwords = self.value("smtp_sasl_password_maps", in: self.services.client)
        guard enable.isYes else {
            if enable.isSet { self.mark(enable, .default) }
            if passwords.isSet { self.mark(passwords, .ignored, why: "smtp_sasl_auth_enable is not yes") }
            return
        }
        self.convertSingleTable(passwords, .passwords, "forwarder.sasl.passwords")
        self.mark(enable, .converted, key: "forwarder.sasl.passwords")
        self.warn(
            passwords,
            "Postern logs in only inside TLS and to a server that proves its name, unless forwarder.tls.policy has a "
                + "level of may or encrypt for it")
    }
}
