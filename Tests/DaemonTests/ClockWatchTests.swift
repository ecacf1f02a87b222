import Daemon
import Mail
import Testing

struct ClockWatchTests {
    private let noon = Timestamp(seconds: 1_800_000_000)

    @Test(arguments: [(20, nil), (79, nil), (-38, nil), (81, 61), (172_820, 172_800), (-172_780, -172_800), (-41, -61)])
    func `a clock that was set is noticed, and by how much`(passed: Int, jump: Int?) {
        var watch = ClockWatch()
        #expect(watch.look(wall: self.noon, steady: .seconds(1000)) == nil)
        let found = watch.look(wall: self.noon + .seconds(passed), steady: .seconds(1020))
        #expect(found == jump.map { .seconds($0) })
    }

    @Test func `each step is noticed once`() {
        var watch = ClockWatch()
        _ = watch.look(wall: self.noon, steady: .zero)
        let first = watch.look(wall: self.noon - .seconds(3600), steady: .seconds(20))
        #expect(first == .seconds(-3620))
        let second = watch.look(wall: self.noon - .seconds(3580), steady: .seconds(40))
        #expect(second == nil)
    }

    @Test func `a machine that slept is no clock that was set, if its steady clock slept as well`() {
        var watch = ClockWatch()
        _ = watch.look(wall: self.noon, steady: .zero)
        let found = watch.look(wall: self.noon + .seconds(30_000), steady: .seconds(30_000))
        #expect(found == nil)
    }
}
