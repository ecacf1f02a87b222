import Mail
import SMTP

/// What the screener answers: every text once. Those for the protocol are in `SMTP/ServerReplies`.
extension Reply {
    static let tooManyConnections = Reply(421, .init(7, 0), "Too many connections from your network")
    static let connectionRate = Reply(421, .init(7, 0), "Too many new connections from your network, try again later")
    static let serverBusy = Reply(421, .init(3, 2), "All server ports are busy, try again later")
    static let proxyRefused = Reply(421, .init(7, 0), "You are none of our proxies")
    /// To who comes where nobody can earn a pass.
    static let comeBack = Reply(450, .init(3, 2), "Service currently unavailable, try our other servers or again later")

    static func to(_ refusal: ClientLimits.Refusal) -> Reply {
        switch refusal {
        case .allConnections: .serverBusy
        case .clientConnections: .tooManyConnections
        case .connectionRate: .connectionRate
        }
    }

    static func accessDenied(_ action: ScreeningAction) -> Reply {
        Reply(action == .drop ? 521 : 550, .init(3, 2), "Service currently unavailable")
    }

    static func listed(_ client: IPAddress, _ list: String, _ action: ScreeningAction) -> Reply {
        Reply(action == .drop ? 521 : 550, .init(7, 1), "Service unavailable; client [\(client)] blocked using \(list)")
    }

    /// The list behaves unlike itself: whoever is good may come again when it has recovered.
    static func listedBySuspect(_ client: IPAddress, _ list: String, _ action: ScreeningAction) -> Reply {
        Reply(
            action == .drop ? 421 : 450, .init(7, 1),
            "Service temporarily unavailable; client [\(client)] blocked using \(list)")
    }
}
