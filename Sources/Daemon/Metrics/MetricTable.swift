extension MetricFamily {
    // MARK: The service

    static let build = MetricFamily("postern_build_info", .gauge, ["version"], "Always 1; the label says what runs.")
    static let start = MetricFamily(
        "postern_start_time_seconds", .gauge, "When the daemon started, in seconds since 1970.")
    static let generation = MetricFamily(
        "postern_generation", .gauge, "Number of the configuration in force; each reload that is accepted adds one.")
    static let reloads = MetricFamily(
        "postern_reloads_total", .counter, ["result"],
        "Reloads and rollbacks: `applied`, or `refused` with the old configuration left in force.")
    static let alarms = MetricFamily("postern_alarms", .gauge, "Alarms that `postern status` shows now.")
    static let warnings = MetricFamily(
        "postern_notes_total", .counter, ["kind"],
        "What rules had to say without refusing: `warn`, `info`, `fault` and so on.")

    // MARK: Coming in

    static let messages = MetricFamily(
        "postern_messages_received_total", .counter, "Messages taken over from clients.")
    static let messageBytes = MetricFamily(
        "postern_received_bytes_total", .counter, "Octets of content of messages taken over.")
    static let recipients = MetricFamily(
        "postern_recipients_total", .counter, "Recipients of messages taken over.")
    static let refused = MetricFamily(
        "postern_refused_total", .counter, ["stage", "restriction", "code"],
        "Refusals: the list, the restriction without its arguments, and the reply's code. Where SMTP itself refuses, "
            + "the stage is `protocol` and the restriction the command.")
    static let authentication = MetricFamily(
        "postern_authentication_total", .counter, ["method", "result"],
        "Messages taken over by what SPF, DKIM, ARC and DMARC said of them.")
    static let incomingTLS = MetricFamily(
        "postern_received_tls_total", .counter, ["version"],
        "Messages taken over by the protocol they came through; `none` is plain text.")
    static let tlsFailed = MetricFamily(
        "postern_tls_failed_total", .counter, "Connections of clients that ended because TLS failed.")
    static let sessions = MetricFamily(
        "postern_sessions", .gauge, "Connections of clients, at the gate and in sessions.")
    static let connections = MetricFamily(
        "postern_connections", .gauge, ["client"],
        "Connections of clients that have passed the screener lately (`known`) and of others (`unknown`).")
    static let gate = MetricFamily(
        "postern_gate_connections", .gauge, ["state"],
        "Connections that wait for the greeting (`waiting`) and that were greeted and say nothing (`silent`).")
    static let stress = MetricFamily(
        "postern_under_stress", .gauge, "1 while unknown clients get less time because there are too many.")

    // MARK: Screener and greylist

    static let screened = MetricFamily(
        "postern_screened_total", .counter, ["result"], "Connections by what the screener thought of them.")
    static let passes = MetricFamily("postern_screener_passes", .gauge, "Clients remembered for having passed.")
    static let listQueries = MetricFamily(
        "postern_dnsbl_queries_total", .counter, ["list"], "Questions to a DNS list.")
    static let listHits = MetricFamily(
        "postern_dnsbl_hits_total", .counter, ["list"], "Questions to a DNS list that it had an entry for.")
    static let listUnavailable = MetricFamily(
        "postern_dnsbl_unavailable_total", .counter, ["list"], "Questions to a DNS list without a usable answer.")
    static let listStanding = MetricFamily(
        "postern_dnsbl_standing", .gauge, ["list", "standing"],
        "1 for what is thought of a DNS list: `trusted`, `suspect` (who fails by it is told 4yz) or `demoted` (it does "
            + "not count); 0 for the others.")
    static let greylistEntries = MetricFamily(
        "postern_greylist_entries", .gauge, "Records of who came when.")
    static let greylisted = MetricFamily(
        "postern_greylist_total", .counter, ["result"],
        "Recipients that passed greylisting (`passed`) and that had to come again (`delayed`).")

    // MARK: Queue

    static let queueMessages = MetricFamily("postern_queue_messages", .gauge, "Messages in the queue.")
    static let queueDamaged = MetricFamily(
        "postern_queue_damaged_messages", .gauge, "Messages that could not be read and were set aside.")
    static let queueReceiving = MetricFamily(
        "postern_queue_receiving_messages", .gauge, "Messages of which a part is stored while the rest comes.")
    static let queueBytes = MetricFamily("postern_queue_bytes", .gauge, "Octets of the queue's file in use.")
    static let queueMaximum = MetricFamily(
        "postern_queue_maximum_bytes", .gauge, "Octets that the queue's file may have.")
    static let queueRoom = MetricFamily(
        "postern_queue_room_bytes", .gauge, "Octets of content that are still taken; without any, mail is told 452.")
    static let queueDisk = MetricFamily("postern_queue_disk_free_bytes", .gauge, "Octets free on the queue's disk.")
    static let queueOldest = MetricFamily(
        "postern_queue_oldest_seconds", .gauge, "Age of the oldest message, held ones included; 0 without any.")
    static let commits = MetricFamily("postern_queue_commits_total", .counter, "Commits of the queue.")

    // MARK: Going out

    static let deliveries = MetricFamily(
        "postern_deliveries_total", .counter, ["result"],
        "Recipients by what an attempt came to: `delivered`, `deferred` or `failed`.")
    static let age = MetricFamily(
        "postern_delivery_age_seconds", .histogram,
        "Time from the arrival of a message to its delivery, for each recipient.")
    static let outgoingTLS = MetricFamily(
        "postern_delivered_tls_total", .counter, ["level", "version"],
        "Recipients delivered by the level of security that was kept to and the protocol; `none` is plain text.")
    static let notices = MetricFamily(
        "postern_notices_total", .counter, "Delivery status notices made, which go to senders.")
    static let ownMessages = MetricFamily(
        "postern_own_messages_total", .counter, "Other messages made by the daemon, such as reports.")
    static let unsigned = MetricFamily(
        "postern_unsigned_total", .counter, "Messages of ours that went without the signature they should have.")
    static let destinations = MetricFamily(
        "postern_destinations", .gauge, ["state"], "Destinations that are known, by their state.")
    static let destinationsDown = MetricFamily(
        "postern_destination_failures_total", .counter, "How often a destination has stopped answering.")
    static let destinationUp = MetricFamily(
        "postern_destination_up", .gauge, ["destination"],
        "0 for a destination that does not answer, else 1. Only the 50 with the most mail, those that are down first.")
    static let destinationWaiting = MetricFamily(
        "postern_destination_waiting", .gauge, ["destination"], "Messages that wait for such a destination.")

    // MARK: Certificates and policies

    static let certificate = MetricFamily(
        "postern_certificate_expiry_timestamp_seconds", .gauge, ["key", "name"],
        "When a certificate that we show expires, in seconds since 1970.")
    static let policies = MetricFamily("postern_mta_sts_policies", .gauge, "MTA-STS policies of other domains kept.")
    static let policyFetches = MetricFamily(
        "postern_mta_sts_fetches_total", .counter, ["result"],
        "MTA-STS policies that were `fetched`, and that could not be (`failed`).")

    // MARK: Process

    static let resident = MetricFamily("process_resident_memory_bytes", .gauge, "Octets in memory.")
    static let memoryLimit = MetricFamily(
        "postern_memory_limit_bytes", .gauge, "Memory that systemd allows; missing without a limit.")
    static let openDescriptors = MetricFamily("process_open_fds", .gauge, "Open descriptors.")
    static let maximumDescriptors = MetricFamily("process_max_fds", .gauge, "Descriptors that may be open.")
    static let processor = MetricFamily("process_cpu_seconds_total", .counter, "Processor time, user and system.")
    static let processStart = MetricFamily(
        "process_start_time_seconds", .gauge, "When the process started, in seconds since 1970.")

    /// All of them by subject, in the order of the page.
    package static let table: [(title: String, families: [MetricFamily])] = [
        ("The service", [.build, .start, .generation, .reloads, .alarms, .warnings]),
        (
            "Coming in",
            [
                .messages, .messageBytes, .recipients, .refused, .authentication, .incomingTLS, .tlsFailed, .sessions,
                .connections, .gate, .stress,
            ]
        ),
        (
            "Screener and greylist",
            [
                .screened, .passes, .listQueries, .listHits, .listUnavailable, .listStanding, .greylistEntries,
                .greylisted,
            ]
        ),
        (
            "Queue",
            [
                .queueMessages, .queueDamaged, .queueReceiving, .queueBytes, .queueMaximum, .queueRoom, .queueDisk,
                .queueOldest, .commits,
            ]
        ),
        (
            "Going out",
            [
                .deliveries, .age, .outgoingTLS, .notices, .ownMessages, .unsigned, .destinations, .destinationsDown,
                .destinationUp, .destinationWaiting,
            ]
        ),
        ("Certificates and policies", [.certificate, .policies, .policyFetches]),
        (
            "Process",
            [.resident, .memoryLimit, .openDescriptors, .maximumDescriptors, .processor, .processStart]
        ),
    ]
}

/// The page on figures, made from the table.
package enum MetricsReferencePage {
    package static var text: String {
        var text = """
            # Figures

            Made by `postern reference --metrics` from the table in the source. They are shown at `/metrics` of the
            addresses in [`metrics`](CONFIGURATION.md). Counters begin at 0 when the daemon starts.

            """
        for (title, families) in MetricFamily.table {
            text += "\n## \(title)\n\n| Name | Kind | Labels | What it says |\n|---|---|---|---|\n"
            for family in families {
                let labels = family.labels.map { "`\($0)`" }.joined(separator: ", ")
                text += "| `\(family.name)` | \(family.kind.rawValue) | \(labels) | \(family.help) |\n"
            }
        }
        return text
    }
}
