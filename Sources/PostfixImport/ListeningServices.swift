/// The services of master.cf that take mail from other hosts.
struct ListeningServices {
    /// On port 25: `smtpd`, or `postscreen` with a `smtpd` behind it.
    let entrance: [MasterFile.Service]
    /// The server of mail from strangers; nil if none listens.
    let smtpd: MasterFile.Service?
    let postscreen: MasterFile.Service?
    /// What writes what that server accepts into the queue.
    let cleanup: MasterFile.Service?
    /// What hands mail for relay domains on.
    let client: MasterFile.Service?
    /// Other services on the network.
    let others: [MasterFile.Service]

    init(_ master: MasterFile) {
        let listening = master.services.filter { $0.type == "inet" }
        self.entrance = listening.filter {
            ["smtp", "25"].contains($0.endpoint?.port ?? "") && ["smtpd", "postscreen"].contains($0.command)
        }
        self.postscreen = self.entrance.first { $0.command == "postscreen" }
        let passed = master.services.last { $0.type == "pass" && $0.command == "smtpd" }
        let direct = self.entrance.first { $0.command == "smtpd" }
        self.smtpd = self.postscreen == nil ? direct : passed ?? direct
        let cleanupName = self.smtpd?.override("cleanup_service_name")?.value ?? "cleanup"
        self.cleanup = master.services.first { $0.name == cleanupName && $0.command == "cleanup" }
        let clients = master.services.filter { $0.type == "unix" && $0.command == "smtp" }
        self.client = clients.first { $0.name == "relay" } ?? clients.first { $0.name == "smtp" }
        let known = Set(self.entrance)
        self.others = listening.filter { !known.contains($0) }
    }
}

extension Importer {
    /// Services that have no place here, and the addresses of those that have.
    mutating func convertServices() {
        if self.master.services.isEmpty {
            self.warn(
                SourcePlace(file: self.master.file, line: 1),
                "there is no master.cf here: it is taken that smtpd listens on port 25, without postscreen")
        } else if self.services.entrance.isEmpty {
            self.warn(
                SourcePlace(file: self.master.file, line: 1),
                "no service takes mail on port 25: what is made here listens there all the same")
        }
        for service in self.services.others { self.warn(self.place(service), self.text(about: service)) }
        if let postscreen = self.services.postscreen, self.services.smtpd?.type != "pass" {
            self.warn(self.place(postscreen), "postscreen has no 'smtpd pass … smtpd' to hand clients to")
        }
        for service in self.services.entrance + [self.services.smtpd].compactMap(\.self) {
            self.warnOfDisabling(service)
        }
        self.convertAddresses()
    }

    func place(_ service: MasterFile.Service) -> SourcePlace {
        SourcePlace(file: self.master.file, line: service.line)
    }

    private func text(about service: MasterFile.Service) -> String {
        let port = service.endpoint?.port ?? ""
        switch (service.command, port) {
        case ("smtpd", "submission"), ("smtpd", "587"), ("smtpd", "submissions"), ("smtpd", "smtps"), ("smtpd", "465"):
            return "unsupported: service \(service.name) takes mail of users who log in; Postern has no logins: leave "
                + "submission to the primary or to a Postfix of its own"
        case ("smtpd", _):
            return
                "unsupported: service \(service.name), a server of its own with \(service.overrides.count) settings; "
                + "Postern has one server, for strangers. Was it where a content filter gives mail back? There is "
                + "none here"
        case ("qmqpd", _): return "unsupported: service \(service.name): Postern speaks no QMQP"
        default: return "unsupported: service \(service.name) (\(service.command)) is not a part of Postern"
        }
    }

    private mutating func warnOfDisabling(_ service: MasterFile.Service) {
        let value = self.value("master_service_disable")
        let names = ["\(service.name)/\(service.type)", "\(service.name).\(service.type)", service.type]
        guard let word = value.words.first(where: names.contains) else { return }
        self.mark(value, .unsupported, why: "what is made here listens all the same")
        self.warn(value, word: word, "master_service_disable turns \(service.name) off; it is imported all the same")
    }

    // MARK: Addresses

    private mutating func convertAddresses() {
        let protocols = self.value("inet_protocols")
        let interfaces = self.value("inet_interfaces")
        let families = protocols.words.map { $0.lowercased() }
        let hasV4 = families.contains("all") || families.contains("ipv4")
        let hasV6 = families.contains("all") || families.contains("ipv6")
        var hosts = self.services.entrance.compactMap { $0.endpoint?.host }.filter { !$0.isEmpty }
        let named = !hosts.isEmpty
        if !named { hosts = interfaces.words }
        var listen: [String] = []
        for host in hosts {
            switch host.lowercased() {
            case "all": listen += (hasV4 ? ["0.0.0.0:25"] : []) + (hasV6 ? ["[::]:25"] : [])
            case "loopback-only": listen += (hasV4 ? ["127.0.0.1:25"] : []) + (hasV6 ? ["[::1]:25"] : [])
            case "localhost": listen += (hasV4 ? ["127.0.0.1:25"] : []) + (hasV6 ? ["[::1]:25"] : [])
            default: self.addAddress(host, of: interfaces, to: &listen)
            }
        }
        self.convertProxy(listen: listen)
        if !named, hosts.map({ $0.lowercased() }) == ["all"], hasV4, hasV6 {
            if interfaces.isSet { self.mark(interfaces, .default) }
            if protocols.isSet { self.mark(protocols, .default) }
            return
        }
        guard !listen.isEmpty, !self.hasProxy else { return }
        self.set("listen", .list(listen.map { .init(text: $0) }), from: hasV4 && hasV6 ? interfaces : protocols)
        if interfaces.isSet { self.mark(interfaces, .converted, key: "listen") }
        if protocols.isSet {
            self.mark(
                protocols, .converted, key: "listen",
                why: hasV4 && hasV6 ? nil : "next hops are reached over both protocols all the same")
        }
    }

    private mutating func addAddress(_ host: String, of value: Value, to listen: inout [String]) {
        guard let address = PlainAddress(host) else {
            self.warn(value, word: host, "'\(host)' is not an address: Postern listens on addresses; add it to listen")
            return
        }
        listen.append(address.endpoint(port: 25))
    }
}
