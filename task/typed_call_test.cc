#include "task/typed_call.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "task/task_fixture.h"

namespace rustyray::task {
namespace {

using core::ErrorKind;
using core::KindOf;
using core::ObjectRef;
using testing::AllOf;
using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

// Counts what is done to it, all objects together.
struct Tracked {
  static inline int copies = 0, moves = 0, alive = 0;
  static void Reset() { copies = moves = 0; }
  explicit Tracked(int value) : value(value) { ++alive; }
  Tracked(const Tracked& other) : value(other.value) { ++copies, ++alive; }
  Tracked(Tracked&& other) noexcept : value(std::exchange(other.value, -1)) { ++moves, ++alive; }
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() { --alive; }
  int value;
};

class TypedCallTest : public TaskFixture {
 protected:
  TypedCallTest() { Tracked::Reset(); }
  ~TypedCallTest() override { EXPECT_LE(Tracked::alive, 0); }

  template <class T>
  T Value(const ObjectRef& ref) {
    absl::StatusOr<T> value = ref.Get<T>();
    EXPECT_TRUE(value.ok()) << value.status();
    return *std::move(value);
  }
  absl::Status Failure(const ObjectRef& ref) {
    absl::Status status = ref.Wait();
    EXPECT_FALSE(status.ok());
    return status;
  }
};

int Add(int a, int b) { return a + b; }

TEST_F(TypedCallTest, RunsAFunctionAndAFunctionObject) {
  EXPECT_EQ(Value<int>(tasks.Run(kF, &Add, 2, 3)), 5);
  const int captured = 10;
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [captured](int a) { return a + captured; }, 1)),
            11);
  EXPECT_EQ(Value<int>(tasks.Run(kF, [calls = 0]() mutable { return ++calls; })), 1);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, +[](int a) noexcept { return a; }, 4)),
            4);
}

// --- Forms of parameters, given values.

TEST_F(TypedCallTest, ValuesReachParametersOfAllForms) {
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](Tracked t) { return t.value; }, Tracked(1))),
            1);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](const Tracked& t) { return t.value; }, Tracked(2))),
            2);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF,
                [](Tracked& t) {
                  t.value *= 2;
                  return t.value;
                },
                Tracked(3))),
            6);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF,
                [](Tracked&& t) {
                  Tracked taken(std::move(t));
                  return taken.value;
                },
                Tracked(4))),
            4);
  EXPECT_EQ(Tracked::copies, 0);
}

TEST_F(TypedCallTest, AnLvalueArgumentIsCopiedOnceAndLeftAlone) {
  const Tracked mine(7);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](Tracked t) { return t.value; }, mine)),
            7);
  EXPECT_EQ(mine.value, 7);
  EXPECT_EQ(Tracked::copies, 1);
}

TEST_F(TypedCallTest, ValuesConvertToTheParameter) {
  EXPECT_EQ(Value<std::string>(tasks.Run(
                kF, [](std::string s) { return s + "!"; }, "text")),
            "text!");
  EXPECT_EQ(Value<double>(tasks.Run(
                kF, [](double d) { return d / 2; }, 3)),
            1.5);
}

TEST_F(TypedCallTest, MoveOnlyValuesGoThrough) {
  ObjectRef ref = tasks.Run(
      kF, [](std::unique_ptr<int> p) { return std::make_unique<int>(*p + 1); }, std::make_unique<int>(1));
  absl::StatusOr<std::unique_ptr<int>> taken = std::move(ref).Take<std::unique_ptr<int>>();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(**taken, 2);
}

// --- Forms of parameters, given refs.

TEST_F(TypedCallTest, AConstReferenceBorrowsTheStoredObject) {
  const ObjectRef put = owner.Put(Tracked(5));
  Tracked::Reset();
  const void* const stored = put.record()->value().data;
  int borrows_while_it_runs = 0;
  EXPECT_TRUE(Value<bool>(tasks.Run(
      kF,
      [&, stored](const Tracked& t) {
        borrows_while_it_runs = owner.borrows();
        return &t == stored;
      },
      put)));
  EXPECT_EQ(borrows_while_it_runs, 1);
  EXPECT_EQ(owner.borrows(), 0);
  EXPECT_EQ(Tracked::copies + Tracked::moves, 0);
}

TEST_F(TypedCallTest, TheOnlyRefIsMovedIntoTheParameter) {
  const auto by_value = [](Tracked t) { return t.value; };
  const auto by_reference = [](Tracked& t) { return t.value; };
  const auto by_rvalue = [](Tracked&& t) { return t.value; };
  ObjectRef a = owner.Put(Tracked(1)), b = owner.Put(Tracked(2)), c = owner.Put(Tracked(3));
  Tracked::Reset();
  EXPECT_EQ(Value<int>(tasks.Run(kF, by_value, std::move(a))), 1);
  EXPECT_EQ(Value<int>(tasks.Run(kF, by_reference, std::move(b))), 2);
  EXPECT_EQ(Value<int>(tasks.Run(kF, by_rvalue, std::move(c))), 3);
  EXPECT_EQ(Tracked::copies, 0);
  EXPECT_EQ(owner.values(), 0) << "moved from, the objects are gone before their calls' results";
}

TEST_F(TypedCallTest, ASharedRefIsCopiedAndTheObjectStaysAsItIs) {
  const ObjectRef put = owner.Put(Tracked(1));
  Tracked::Reset();
  EXPECT_EQ(Value<int>(tasks.Run(
                kF,
                [](Tracked& t) {
                  t.value = 100;
                  return t.value;
                },
                put)),
            100);
  EXPECT_EQ(Tracked::copies, 1);
  EXPECT_EQ((*put.View<Tracked>())->value, 1);
}

TEST_F(TypedCallTest, AViewOfTheOnlyRefForcesACopy) {
  ObjectRef put = owner.Put(std::vector<int>{1, 2, 3});
  const std::shared_ptr<const std::vector<int>> view = *put.View<std::vector<int>>();
  EXPECT_EQ(Value<int>(tasks.Run(
                kF,
                [](std::vector<int>&& v) {
                  v.clear();
                  return 1;
                },
                std::move(put))),
            1);
  EXPECT_EQ(view->size(), 3u);
}

TEST_F(TypedCallTest, TheSameOnlyRefGivenTwiceIsNotMovedOut) {
  ObjectRef put = owner.Put(std::string("text"));
  ObjectRef other = put;
  EXPECT_EQ(Value<std::string>(tasks.Run(
                kF, [](std::string a, std::string b) { return a + b; }, std::move(put), std::move(other))),
            "texttext");
}

TEST_F(TypedCallTest, ARefParameterGetsTheRefAndDoesNotWait) {
  core::Promised<int>* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  EXPECT_FALSE(Value<bool>(tasks.Run(
      kF, [](ObjectRef ref) { return ref.ready(); }, pending)));
  EXPECT_FALSE(Value<bool>(tasks.Run(
      kF, [](const ObjectRef& ref) { return ref.ready(); }, pending)));
  promised->Seal(1);
}

TEST_F(TypedCallTest, AnArithmeticRefConvertsToTheParameter) {
  const ObjectRef put = owner.Put(7);
  EXPECT_EQ(Value<double>(tasks.Run(
                kF, [](double d) { return d / 2; }, put)),
            3.5);
  EXPECT_EQ(Value<double>(tasks.Run(
                kF, [](const double& d) { return d / 2; }, put)),
            3.5);
  EXPECT_EQ(Value<long>(tasks.Run(
                kF, [](long& l) { return ++l; }, put)),
            8);
  EXPECT_EQ(Value<int>(put), 7);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](int i) { return i; }, owner.Put(2.75))),
            2);
}

TEST_F(TypedCallTest, ARefToAnotherTypeIsAnErrorThatNamesArgumentAndBothTypes) {
  const ObjectRef put = owner.Put(std::string("text"));
  const absl::Status status = Failure(tasks.Run(kF, &Add, 1, put));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(KindOf(status), ErrorKind::kTypeMismatch);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("argument 2"), HasSubstr("int"), HasSubstr("std::string"), HasSubstr("f")));
}

TEST_F(TypedCallTest, AnEmptyRefIsAnError) {
  const absl::Status status = Failure(tasks.Run(kF, &Add, 1, ObjectRef()));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(status), HasSubstr("argument 2"));
}

TEST_F(TypedCallTest, ASharedMoveOnlyObjectIsAnErrorForAValueAndFineForABorrow) {
  const ObjectRef put = owner.Put(std::make_unique<int>(3));
  const absl::Status status = Failure(tasks.Run(
      kF, [](std::unique_ptr<int> p) { return *p; }, put));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("argument 1"), HasSubstr("const reference")));
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](const std::unique_ptr<int>& p) { return *p; }, put)),
            3);
  ObjectRef only = owner.Put(std::make_unique<int>(4));
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](std::unique_ptr<int> p) { return *p; }, std::move(only))),
            4);
}

TEST_F(TypedCallTest, ASharedPointerIsCopiedDeeplyForAValue) {
  const ObjectRef put = owner.Put(std::make_shared<int>(3));
  EXPECT_EQ(Value<int>(tasks.Run(
                kF,
                [](std::shared_ptr<int> p) {
                  *p = 100;
                  return *p;
                },
                put)),
            100);
  EXPECT_EQ(**Value<std::shared_ptr<const std::shared_ptr<int>>>(tasks.Run(
                kF, [](ObjectRef ref) { return *ref.View<std::shared_ptr<int>>(); }, put)),
            3);
}

TEST_F(TypedCallTest, EncodedArgumentsAreReadInAllForms) {
  owner.set_encodes(true);
  const ObjectRef put = owner.Put(std::vector<int>{1, 2, 3});
  using V = std::vector<int>;
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](const V& v) { return v[2]; }, put)),
            3);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](V v) { return v[1]; }, put)),
            2);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](V& v) { return v[0] = 9; }, put)),
            9);
  EXPECT_EQ(Value<int>(tasks.Run(
                kF, [](V&& v) { return v[0]; }, put)),
            1);
  EXPECT_EQ(Value<double>(tasks.Run(
                kF, [](double d) { return d; }, owner.Put(4))),
            4.0);
}

// --- Results.

TEST_F(TypedCallTest, ResultsOfAllForms) {
  EXPECT_EQ(Value<int>(tasks.Run(kF, [] { return 1; })), 1);
  EXPECT_EQ(Value<Nothing>(tasks.Run(kF, [] {})), Nothing());
  EXPECT_EQ(Value<Nothing>(tasks.Run(kF, [] { return absl::OkStatus(); })), Nothing());
  EXPECT_EQ(Value<std::string>(tasks.Run(kF, []() -> absl::StatusOr<std::string> { return "text"; })), "text");
  static const std::string kText = "constant";
  EXPECT_EQ(Value<std::string>(tasks.Run(kF, []() -> const std::string& { return kText; })), "constant");
}

TEST_F(TypedCallTest, AStatusBecomesTheError) {
  const absl::Status plain = Failure(tasks.Run(kF, [] { return absl::NotFoundError("no such file"); }));
  EXPECT_EQ(plain.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(KindOf(plain), ErrorKind::kTask);
  EXPECT_THAT(Text(plain), AllOf(HasSubstr("f"), HasSubstr("no such file")));
  const absl::Status with_value =
      Failure(tasks.Run(kF, []() -> absl::StatusOr<int> { return absl::DataLossError("torn"); }));
  EXPECT_EQ(with_value.code(), absl::StatusCode::kDataLoss);
}

TEST_F(TypedCallTest, ExceptionsBecomeErrors) {
  const absl::Status standard = Failure(tasks.Run(kF, []() -> int { throw std::runtime_error("boo"); }));
  EXPECT_EQ(KindOf(standard), ErrorKind::kTask);
  EXPECT_THAT(Text(standard), AllOf(HasSubstr("f"), HasSubstr("boo"), HasSubstr("runtime_error")));
  const absl::Status odd = Failure(tasks.Run(kF, []() -> int { throw 42; }));
  EXPECT_EQ(KindOf(odd), ErrorKind::kTask);
  EXPECT_THAT(Text(odd), HasSubstr("int"));
  EXPECT_EQ(Value<int>(tasks.Run(kF, [] { return 1; })), 1) << "the executor goes on";
}

struct ThrowsWhenMoved {
  ThrowsWhenMoved() = default;
  ThrowsWhenMoved(ThrowsWhenMoved&&) { throw std::runtime_error("moved"); }
};

TEST_F(TypedCallTest, AResultThatThrowsWhenItIsStoredIsAnError) {
  const absl::Status status = Failure(tasks.Run(
      kF, []() -> absl::StatusOr<ThrowsWhenMoved> { return absl::StatusOr<ThrowsWhenMoved>(absl::in_place); }));
  EXPECT_THAT(Text(status), HasSubstr("moved"));
}

TEST_F(TypedCallTest, AResultOverTheLimitIsTheError) {
  owner.set_largest(100);
  const absl::Status status = Failure(tasks.Run(kF, [] { return std::string(1000, 'x'); }));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(KindOf(status), ErrorKind::kStoreFull);
}

TEST_F(TypedCallTest, ReadingAResultAsAnotherTypeNamesBoth) {
  const ObjectRef ref = tasks.Run(kF, [] { return 1; });
  const absl::StatusOr<std::string> wrong = ref.Get<std::string>();
  EXPECT_EQ(KindOf(wrong.status()), ErrorKind::kTypeMismatch);
  EXPECT_THAT(Text(wrong.status()), AllOf(HasSubstr("int"), HasSubstr("std::string")));
}

// --- Dependencies.

TEST_F(TypedCallTest, ACallStartsWhenItsRefsAreReady) {
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  auto* const later = new core::Promised<int>(owner);
  const ObjectRef pending_too = ObjectRef::Adopt(later);
  const ObjectRef sum = tasks.Run(kF, &Add, pending, pending_too);
  EXPECT_EQ(executor.queued(), 0u);
  later->Seal(2);
  EXPECT_EQ(executor.queued(), 0u);
  promised->Seal(1);
  EXPECT_EQ(executor.queued(), 1u);
  EXPECT_FALSE(sum.ready());
  executor.Step();
  EXPECT_EQ(Value<int>(sum), 3);
}

TEST_F(TypedCallTest, ArgumentsAreDestroyedBeforeTheResultIsThere) {
  ObjectRef ref = tasks.Run(
      kF, [](const Tracked& t) { return t.value; }, Tracked(1));
  EXPECT_EQ(Tracked::alive, 1);
  executor.Step();
  EXPECT_EQ(Tracked::alive, 0);
  EXPECT_EQ(Value<int>(ref), 1);
}

TEST_F(TypedCallTest, AnArgumentsErrorBecomesTheCallsErrorWithItsChain) {
  const ObjectRef bad = tasks.Run(
      kF, [](int) { return absl::StatusOr<int>(absl::NotFoundError("no file")); }, 1);
  const ObjectRef worse = tasks.Run(kG, &Add, bad, 1);
  const ObjectRef worst = tasks.Run(kH, &Add, 1, worse);
  const absl::Status status = Failure(worst);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Text(status),
              AllOf(HasSubstr("f failed: "), HasSubstr("no file"), HasSubstr("needed by g, needed by h")));
  executor.RunUntilIdle();
  EXPECT_EQ(owner.admitted(), 0) << "neither g nor h ran";
}

TEST_F(TypedCallTest, AnErrorFailsACallWhoseOtherArgumentIsPending) {
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  const ObjectRef bad = tasks.Run(kF, [] { return absl::StatusOr<int>(absl::AbortedError("stop")); });
  executor.RunUntilIdle();
  EXPECT_EQ(Failure(tasks.Run(kG, &Add, bad, pending)).code(), absl::StatusCode::kAborted);
  promised->Seal(1);
}

TEST_F(TypedCallTest, EncodeWritesValuesAndRefsAndNamesWhatHasNoCodec) {
  const ObjectRef put = owner.Put(1);
  std::vector<ObjectRef> refs;
  core::EncodeSink sink{.bytes = {}, .refs = &refs};
  const CallPtr fine = MakeCall(owner, kF, &Add, 1, put);
  EXPECT_TRUE(fine->Encode(sink).ok());
  EXPECT_EQ(sink.bytes.size(), sizeof(int));
  EXPECT_EQ(refs.size(), 1u);
  const CallPtr bad = MakeCall(
      owner, kF, [](int, std::unique_ptr<int>) {}, 1, nullptr);
  const absl::Status status = bad->Encode(sink);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("argument 2"), HasSubstr("unique_ptr"), HasSubstr("codec")));
}

TEST_F(TypedCallTest, ACallNeverSubmittedGivesEverythingBack) {
  ObjectRef put = owner.Put(Tracked(1));
  {
    const CallPtr call = MakeCall(
        owner, kF, [](Tracked, const Tracked&) {}, Tracked(2), std::move(put));
  }
  EXPECT_EQ(Tracked::alive, 0);
}

// --- Sizes: what a task and an object cost beside what the user gave.

TEST(Sizes, ASmallTaskIsAtMost256BytesAndAPutAtMost128BesideItsPayload) {
  using SmallTask = TypedCall<CorePolicy, int (*)(int, int), ValueSlot<int>, ValueSlot<int>>;
  EXPECT_LE(sizeof(SmallTask), 256u);
  EXPECT_LE(sizeof(core::Stored<long, CorePolicy>) - sizeof(long), 128u);
  RecordProperty("small_task_bytes", static_cast<int>(sizeof(SmallTask)));
  RecordProperty("put_bytes_beside_payload", static_cast<int>(sizeof(core::Stored<long, CorePolicy>) - sizeof(long)));
}

}  // namespace
}  // namespace rustyray::task
