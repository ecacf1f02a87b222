internal import CSystem
internal import Glibc

/// A thread that runs a closure once and can be waited for.
///
/// Sendable: the handle is set before anybody else has the object and never changed.
package final class JoinableThread: @unchecked Sendable {
    private var handle = pthread_t()

    /// - Parameter name: as `top` shows it; at most 15 octets.
    package init(_ name: StaticString, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let box = Unmanaged.passRetained(Body(name: name, run: body))
        let code = pthread_create(
            &self.handle, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                body.name.withUTF8Buffer {
                    $0.withMemoryRebound(to: CChar.self) {
                        if let name = $0.baseAddress { system_name_this_thread(name) }
                    }
                }
                body.run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw SystemError(call: "pthread_create", code: code)
        }
    }

    package func join() { pthread_join(self.handle, nil) }

    private final class Body: Sendable {
        let name: StaticString
        let run: @Sendable () -> Void

        init(name: StaticString, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }
}
