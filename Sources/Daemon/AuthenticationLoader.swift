package import Authentication
import Crypto
package import Mail

/// Makes what is done about authentication of what the configuration says: reads keys and the public suffix list.
struct AuthenticationLoader {
    private let configuration: Configuration
    private let file: String
    private let hostname: DomainName
    private let tables: TableLoader

    private var options: AuthenticationOptions { self.configuration.authentication }

    init(_ configuration: Configuration, file: String, hostname: DomainName, tables: TableLoader) {
        self.configuration = configuration
        self.file = file
        self.hostname = hostname
        self.tables = tables
    }

    /// - Throws: everything that is wrong in the files.
    func policy() throws(FileErrors) -> AuthenticationPolicy {
        var errors: [FileError] = []
        let exempt = ExemptionTables(self.options.exempt, "authentication.exempt", self.file, self.tables, &errors)
        let keys = self.signingKeys(&errors)
        let sealer = self.sealer(&errors)
        let discovery = self.discovery(&errors)
        let engine = self.engine(&errors)
        guard errors.isEmpty, self.tables.errors.isEmpty, let discovery, let engine else {
            throw FileErrors(self.tables.errors + errors)
        }
        return AuthenticationPolicy(
            options: self.options, authservID: self.authservID.ascii,
            spf: SPFPolicy(self.options.spf, receiver: self.hostname.ascii, engine: engine), discovery: discovery,
            keys: keys, sealer: sealer, isExempt: { exempt.exempt($0) })
    }

    private var authservID: DomainName { self.options.authservID ?? self.hostname }

    // MARK: Keys

    private func signingKeys(_ errors: inout [FileError]) -> SigningKeys {
        var signers: [(domain: DomainName, signer: DKIMSigner)] = []
        for setting in self.options.dkim.sign {
            guard let key = self.key(setting, &errors) else { continue }
            signers.append((key.domain, DKIMSigner(keys: [key], options: setting.signerOptions)))
        }
        return SigningKeys(signers)
    }

    private func sealer(_ errors: inout [FileError]) -> ARCSealer? {
        guard let setting = self.options.arc.seal, let key = self.key(setting, &errors) else { return nil }
        var options = ARCSealer.Options()
        if !setting.headers.isEmpty { options.names = setting.headers }
        return ARCSealer(key: key, authservID: self.authservID, options: options)
    }

    /// What is missing was found when the options were read.
    private func key(_ setting: SigningKeyOptions, _ errors: inout [FileError]) -> SigningKey? {
        guard let domain = setting.domain, let selector = setting.selector.flatMap({ DomainName($0) }),
            let path = setting.key
        else { return nil }
        do throws(FileError) {
            return SigningKey(domain: domain, selector: selector, key: try SigningKeyFile.load(self.path(path)))
        } catch {
            errors.append(error)
            return nil
        }
    }

    /// Beside the configuration file, if it has no path.
    private func path(_ name: String) -> String {
        guard !name.hasPrefix("/"), let slash = self.file.lastIndex(of: "/") else { return name }
        return self.file[...slash] + name
    }

    // MARK: DMARC and SPF

    /// The list is read only if somebody asks it.
    private func discovery(_ errors: inout [FileError]) -> DMARCEvaluation.Discovery? {
        guard self.options.enabled, !self.options.dmarc.treeWalk else { return .treeWalk }
        do throws(FileErrors) {
            let path = self.options.dmarc.publicSuffixes
            let list = try PublicSuffixFile.load(path)
            self.tables.warnings += list.skipped.map {
                FileError(file: path, line: $0, message: "not a rule, and passed over")
            }
            return .publicSuffixes(list)
        } catch {
            errors += error.list
            return nil
        }
    }

    private func engine(_ errors: inout [FileError]) -> SPFEngine? {
        switch self.options.spf.engine {
        case .postern: return .postern
        case .libspf2:
            do { return try SharedSPFEngine.libspf2.get() } catch {
                errors.append(FileError(file: self.file, message: "libspf2 cannot be used: \(error)"))
                return nil
            }
        }
    }
}

/// The public suffix list in a file.
package enum PublicSuffixFile {
    /// - Throws: what is wrong with the file.
    package static func load(_ path: String) throws(FileErrors) -> PublicSuffixList {
        let text: String
        do throws(FileError) { text = try FileText.read(path) } catch { throw FileErrors([error]) }
        do throws(PublicSuffixList.SyntaxError) { return try PublicSuffixList(text.utf8) } catch {
            throw FileErrors([FileError(file: path, line: error.line, message: error.description)])
        }
    }
}

/// The threads of libspf2 are shared by all generations, and live as long as the program.
private enum SharedSPFEngine {
    static let libspf2 = Result { try SPFEngine.libspf2() }
}

extension SigningKeyOptions {
    fileprivate var signerOptions: DKIMSigner.Options {
        var options = DKIMSigner.Options()
        if !self.headers.isEmpty { options.names = self.headers }
        return options
    }
}
