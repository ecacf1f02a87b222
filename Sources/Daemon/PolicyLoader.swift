import Mail
import Receiver
import Rules

/// Makes the restriction lists of a generation of what the configuration says, and gathers what is wrong in them.
struct PolicyLoader {
    private let configuration: Configuration
    private let file: String
    private let table: (String) throws(OptionProblem) -> RuleTable
    private(set) var errors: [FileError] = []
    private(set) var warnings: [FileError] = []
    private(set) var services: [String: PolicyService] = [:]
    private var classes: [String: RestrictionList] = [:]
    /// Classes that are being read, to see those that contain themselves.
    private var open: [String] = []

    /// - Parameter table: reads a table; the problems of its text are gathered where that is done.
    init(
        _ configuration: Configuration, file: String, table: @escaping (String) throws(OptionProblem) -> RuleTable
    ) {
        self.configuration = configuration
        self.file = file
        self.table = table
    }

    mutating func policy(
        relay: RelayPolicy, routeRefusal: @escaping @Sendable (Mailbox) -> Reply?,
        asksElsewhere: @escaping @Sendable (DomainName) -> Bool, listNames: [String: String]
    ) -> RestrictionPolicy {
        for name in self.configuration.restrictionClasses.values.keys.sorted() { self.readClass(name) }
        var lists: [Stage: RestrictionList] = [:]
        for stage in Stage.allCases {
            let list = self.list(stage.rawValue, self.configuration.restrictions[stage], stage)
            if !list.items.isEmpty { lists[stage] = list }
        }
        self.checkRelay(lists)
        self.checkCertificates()
        let policy = RestrictionPolicy(
            lists: lists, classes: self.classes, relay: relay, options: self.configuration.replyCodes,
            routeRefusal: routeRefusal, asksElsewhere: asksElsewhere, listNames: listNames,
            clientCertificates: self.clientCertificates(), delaysRefusals: self.configuration.rejectDelayed)
        self.checkActions(of: policy)
        self.checkPlaces(of: policy)
        return policy
    }

    private mutating func clientCertificates() -> RuleTable? {
        guard let name = self.configuration.tls.relayCertificates else { return nil }
        do throws(OptionProblem) { return try self.table(name) } catch {
            self.errors.append(FileError(file: self.file, message: "tls.relay_certificates: \(error.message)"))
            return nil
        }
    }

    /// Restrictions that ask for certificates which nobody shows.
    private mutating func checkCertificates() {
        let tls = self.configuration.tls
        let missing: [(restriction: String, key: String, isMissing: Bool)] = [
            ("check_ccert_access", "client_certificates", !tls.clientCertificates),
            ("permit_tls_clientcerts", "client_certificates", !tls.clientCertificates),
            ("permit_tls_clientcerts", "relay_certificates", tls.relayCertificates == nil),
            ("permit_tls_all_clientcerts", "client_certificates", !tls.clientCertificates),
            ("permit_tls_all_clientcerts", "authorities", tls.authorities == nil),
        ]
        let lists =
            Stage.allCases.map { self.configuration.restrictions[$0] }
            + self.configuration.restrictionClasses.values.values.map(\.self)
        for (restriction, key, _) in missing.filter(\.isMissing) {
            for element in lists.joined() where element.words.contains(where: { $0.asciiLowercased == restriction }) {
                self.warnings.append(
                    FileError(
                        file: self.file, line: element.place?.line, column: element.place?.column,
                        message: "\(restriction) never matches without tls.\(key)"))
            }
        }
    }

    private mutating func error(_ element: RestrictionElement, _ message: String) {
        self.errors.append(
            FileError(
                file: self.file, line: element.place?.line, column: element.place?.column, message: message))
    }

    // MARK: Lists

    private mutating func readClass(_ name: String) {
        guard self.classes[name] == nil, let elements = self.configuration.restrictionClasses.values[name] else {
            return
        }
        self.open.append(name)
        if RestrictionReader.names.contains(name.asciiLowercased), let element = elements.first {
            self.error(element, "restriction class '\(name)' has the name of a restriction")
        }
        for element in elements {
            for word in element.words where self.configuration.restrictionClasses.values[word] != nil {
                if self.open.contains(word) {
                    self.error(element, "restriction class '\(word)' contains itself")
                } else {
                    self.readClass(word)
                }
            }
        }
        self.classes[name] = self.list(name, elements, nil)
        self.open.removeLast()
    }

    /// - Parameter stage: nil for a class.
    private mutating func list(_ name: String, _ elements: [RestrictionElement], _ stage: Stage?) -> RestrictionList {
        var items: [RestrictionList.Item] = []
        var onlyWarns = false
        for element in elements {
            do {
                let words = (onlyWarns ? ["warn_if_reject"] : []) + Self.words(of: element, usual: stage?.usualCheck)
                onlyWarns = words.last.map { $0.equalsIgnoringCase("warn_if_reject") } ?? false
                let list = try self.reader.list(name, words: words, file: self.file, line: element.place?.line)
                self.warn(of: list, element)
                if let stage, let problem = self.problem(with: list, in: stage) { self.error(element, problem) }
                items += list.items
            } catch { self.error(element, error.message) }
        }
        return RestrictionList(name: name, items: items)
    }

    private func problem(with list: RestrictionList, in stage: Stage) -> String? {
        list.problem(in: stage, delaysRefusals: self.configuration.rejectDelayed)
    }

    /// A table alone is looked up as the list usually looks up.
    private static func words(of element: RestrictionElement, usual: String?) -> [String] {
        guard let usual, element.words.count == 1, element.words[0].contains(":") else { return element.words }
        return [usual, element.words[0]]
    }

    private var reader: RestrictionReader {
        RestrictionReader(
            classes: self.classes, table: self.table,
            serviceProblem: { text in
                do throws(PolicyService.SyntaxError) { _ = try PolicyService(text, relativeTo: "/") } catch {
                    return error.description
                }
                return nil
            })
    }

    private mutating func warn(of list: RestrictionList, _ element: RestrictionElement) {
        for item in list.items {
            if case .nothing(let why) = item.restriction { self.warn(element, "\(item.text) does nothing: \(why)") }
            if let list = item.restriction.dnsList, list.filter == nil {
                self.warn(
                    element,
                    "\(list) counts whatever answer comes: give it a filter such as \(list.zone)=127.0.0.[2..11]")
            }
            if case .policyService(let text) = item.restriction {
                // Its syntax has been checked before.
                self.services[text] = try? PolicyService(text, relativeTo: self.configuration.state)
            }
        }
    }

    private mutating func warn(_ element: RestrictionElement, _ message: String) {
        self.warnings.append(
            FileError(file: self.file, line: element.place?.line, column: element.place?.column, message: message))
    }

    // MARK: What must hold

    /// Without an end for strangers the relay would be open (Postfix's `fail_required`).
    private mutating func checkRelay(_ lists: [Stage: RestrictionList]) {
        guard lists[.relay]?.end != .refuses, lists[.recipient]?.end != .refuses else { return }
        self.errors.append(
            FileError(
                file: self.file,
                message: "restrictions.relay lets anybody send to anybody: it needs reject_unauth_destination"))
    }

    /// Right-hand sides that are the same for every key are read now, not when a client meets them.
    private mutating func checkActions(of policy: RestrictionPolicy) {
        var seen: Set<String> = []
        for list in Array(policy.lists.values) + Array(policy.classes.values) {
            for table in list.tables where seen.insert(table.name).inserted {
                for (value, line) in table.values where !table.hasCaptures(in: value) {
                    guard let problem = self.problem(inAction: value) else { continue }
                    self.errors.append(FileError(file: table.file ?? self.file, line: line, message: problem))
                }
            }
        }
    }

    /// Restrictions that stand on a right-hand side are where its table is asked.
    private mutating func checkPlaces(of policy: RestrictionPolicy) {
        for (stage, list) in policy.lists.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            for table in list.tables {
                for (value, line) in table.values where !table.hasCaptures(in: value) {
                    guard case .restrictions(let names) = try? AccessAction(value),
                        let inner = try? RestrictionReader(classes: self.classes)
                            .list("", words: names, file: nil, line: nil),
                        let problem = self.problem(with: inner, in: stage)
                    else { continue }  // What cannot be read has been said.
                    self.errors.append(FileError(file: table.file ?? self.file, line: line, message: problem))
                }
            }
        }
    }

    private func problem(inAction value: String) -> String? {
        do {
            let action = try AccessAction(value)
            if case .filter(let destination) = action { return TableLoader.problem(inDestination: destination) }
            guard case .restrictions(let names) = action else { return nil }
            _ = try RestrictionReader(classes: self.classes).list("", words: names, file: nil, line: nil)
            return nil
        } catch { return error.message }
    }
}

extension RestrictionList {
    /// What becomes of a stranger who comes to it.
    fileprivate enum End { case permits, refuses }

    /// The first element that ends the way for every stranger; what stands behind it is never asked. Nil without one.
    fileprivate var end: End? {
        for item in self.items {
            if case .permit = item.restriction { return .permits }
            if item.onlyWarns { continue }
            if item.restriction.refusesStrangers { return .refuses }
            if case .list(let list) = item.restriction, let end = list.end { return end }
        }
        return nil
    }
}

extension Restriction {
    /// Nobody gets past it who has no business here.
    fileprivate var refusesStrangers: Bool {
        if case .rejectUnauthorizedDestination = self { return true }
        if case .reject = self { return true }
        if case .defer = self { return true }
        if case .deferIfPermit = self { return true }
        return false
    }

    fileprivate var dnsList: DNSList? {
        if case .addressList(let list, _) = self { return list }
        if case .domainList(_, let list, _) = self { return list }
        return nil
    }
}

extension Stage {
    /// What a table alone means in the list; nil where none is meant.
    fileprivate var usualCheck: String? {
        switch self {
        case .client: "check_client_access"
        case .helo: "check_helo_access"
        case .sender: "check_sender_access"
        case .relay, .recipient: "check_recipient_access"
        case .data, .endOfData: nil
        }
    }
}
