// Waits among calls of actors with more than one place: which can never end, and which only look so.
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "actor/actor_fixture.h"
#include "actor/actor_system.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "core/waiting.h"
#include "gtest/gtest.h"

namespace rustyray::actor {
namespace {

using core::ObjectRef;

constexpr core::FunctionInfo kFirst{"First"}, kSecond{"Second"}, kThird{"Third"};

struct Room {
  static Room* Create() { return new Room; }
  absl::Status Do(std::function<absl::Status()> what) { return what(); }
};

class ActorWaits : public ActorTest {
 protected:
  ActorRef<Room> Make(int max_concurrency) {
    return *world.actors.Spawn({.max_concurrency = max_concurrency}, &Room::Create);
  }
  static absl::Status Nothing() { return absl::OkStatus(); }
  // Until a thread sleeps in a wait.
  void AwaitAWait() {
    while (world.waiting->Dump().empty()) std::this_thread::yield();
  }
};

TEST_F(ActorWaits, AWaitForWhatOneOfTwoRunningCallsCanMakeRoomForGoesOn) {
  auto room = Make(2);
  std::atomic<bool> second_inside{false};
  std::thread other;
  ObjectRef first = room.Call(kFirst, &Room::Do, [&] {
    other = std::thread([&] { executor.RunUntilIdle(); });
    while (!second_inside) std::this_thread::yield();
    return room.Call(kThird, &Room::Do, &Nothing).Wait();  // both places are taken, one of them by this call
  });
  ObjectRef second = room.Call(kSecond, &Room::Do, [&] {
    second_inside = true;
    AwaitAWait();
    return absl::OkStatus();
  });
  ASSERT_TRUE(executor.Step());
  other.join();
  EXPECT_TRUE(first.Wait().ok()) << first.Wait();
  EXPECT_TRUE(second.Wait().ok()) << second.Wait();
}

TEST_F(ActorWaits, WhenAllRunningCallsWaitForRoomTheLastOneGetsAnError) {
  auto room = Make(2);
  std::atomic<bool> second_inside{false};
  std::thread other;
  ObjectRef first = room.Call(kFirst, &Room::Do, [&] {
    other = std::thread([&] { executor.RunUntilIdle(); });
    while (!second_inside) std::this_thread::yield();
    return room.Call(kThird, &Room::Do, &Nothing).Wait();
  });
  ObjectRef second = room.Call(kSecond, &Room::Do, [&] {
    second_inside = true;
    AwaitAWait();
    return room.Call(kThird, &Room::Do, &Nothing).Wait();
  });
  ASSERT_TRUE(executor.Step());
  other.join();
  EXPECT_TRUE(first.Wait().ok()) << "the second made room: " << first.Wait();
  const absl::Status status = second.Wait();
  EXPECT_NE(status.message().find("this wait would never end: task Second waits for task Third, task Third needs the "
                                  "end of task Second or of 1 others that cannot end either"),
            absl::string_view::npos)
      << status;
}

TEST_F(ActorWaits, CallsThatWaitForEachOtherOnOneStackGetAnError) {
  auto room = Make(2);
  absl::Status innermost;
  ObjectRef first = room.Call(kFirst, &Room::Do, [&] {
    return room
        .Call(kSecond, &Room::Do,
              [&] {
                innermost = room.Call(kThird, &Room::Do, &Nothing).Wait();
                return absl::OkStatus();
              })
        .Wait();
  });
  EXPECT_TRUE(first.Wait().ok()) << first.Wait();
  EXPECT_EQ(core::KindOf(innermost), core::ErrorKind::kWaitCycle) << innermost;
}

TEST_F(ActorWaits, ACycleThroughAnActorOfOnePlaceAndOneOfTwoIsFound) {
  auto one = Make(1);
  auto two = Make(2);
  absl::Status innermost;
  ObjectRef first = one.Call(kFirst, &Room::Do, [&] {
    return two
        .Call(kSecond, &Room::Do,
              [&] {
                innermost = one.Call(kThird, &Room::Do, &Nothing).Wait();
                return absl::OkStatus();
              })
        .Wait();
  });
  EXPECT_TRUE(first.Wait().ok()) << first.Wait();
  EXPECT_EQ(core::KindOf(innermost), core::ErrorKind::kWaitCycle) << innermost;
}

}  // namespace
}  // namespace rustyray::actor
