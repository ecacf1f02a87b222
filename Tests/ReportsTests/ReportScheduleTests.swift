import Mail
import Reports
import Testing

/// When reports are made.
struct ReportScheduleTests {
    private let schedule = ReportSchedule(hour: 1, days: 3, hostname: "mx.example.net")
    private let today = ReportDay(number: 20_000)

    @Test func `days are those of UTC, also before 1970`() {
        #expect(ReportDay(Timestamp(seconds: 0)).number == 0)
        #expect(ReportDay(Timestamp(seconds: 86_399)).number == 0)
        #expect(ReportDay(Timestamp(seconds: -1)).number == -1)
        #expect(ReportDay(Timestamp(microseconds: -1)).number == -1)
        #expect(self.today.lastSecond + .seconds(1) == self.today.end)
    }

    @Test func `a day is due once its hour has come, and as long as it is looked back to`() throws {
        let early = self.today.start + .seconds(3600)
        #expect(self.schedule.dueDays(at: early) == [-3, -2].map { self.today.advanced(by: $0) })
        let late = self.today.start + .seconds(2 * 3600)
        #expect(self.schedule.dueDays(at: late) == [-3, -2, -1].map { self.today.advanced(by: $0) })
    }

    @Test func `the next time is the one at which a day becomes due`() throws {
        for hour in [0, 3, 12, 23] {
            let now = self.today.start + .seconds(hour * 3600)
            let next = self.schedule.next(after: now, hasLeft: false)
            #expect(next > now)
            #expect(next - now <= .seconds(86_400))
            let before = next - .microseconds(1)
            #expect(!self.schedule.dueDays(at: before).contains(ReportDay(next).advanced(by: -1)))
            #expect(self.schedule.dueDays(at: next).contains(ReportDay(next).advanced(by: -1)))
        }
    }

    @Test func `what is left is tried again within the hour`() {
        let now = self.today.start + .seconds(12 * 3600)
        #expect(self.schedule.next(after: now, hasLeft: true) == now + .seconds(3600))
    }

    @Test func `hosts do not all begin at the same second`() {
        let now = self.today.start
        let times = Set(
            (0..<100).map {
                ReportSchedule(hour: 1, days: 3, hostname: "mx\($0).example.net").next(after: now, hasLeft: false)
            })
        #expect(times.count > 80)
        #expect(times.allSatisfy { $0 - now >= .seconds(4200) && $0 - now < .seconds(7200) })
    }
}
