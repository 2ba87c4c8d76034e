#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"

namespace rustyray::core {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

ErrorPtr Root() {
  return MakeError(
      {.code = absl::StatusCode::kNotFound, .kind = ErrorKind::kTask, .message = "no file", .function = "f"});
}

TEST(Error, KnowsWhatFailedAndWhere) {
  const ErrorPtr error = Root();
  EXPECT_EQ(error->code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(error->kind(), ErrorKind::kTask);
  EXPECT_EQ(error->message(), "no file");
  EXPECT_EQ(error->function(), "f");
  EXPECT_EQ(error->pid(), getpid());
  EXPECT_FALSE(error->host().empty());
  EXPECT_EQ(error->hops(), 0u);
  EXPECT_EQ(error->Describe(),
            "f failed: no file (task failed, host " + error->host() + ", pid " + std::to_string(getpid()) + ")");
}

TEST(Error, OfAnotherProcessKeepsItsHostAndPid) {
  const ErrorPtr error = MakeError({.message = "m", .host = "elsewhere", .pid = 7});
  EXPECT_EQ(error->Describe(), "m (error, host elsewhere, pid 7)");
}

TEST(Error, IsNeverOk) {
  EXPECT_EQ(MakeError({.code = absl::StatusCode::kOk})->code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorFromStatus(absl::OkStatus(), "f")->code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(MakeError({.code = absl::StatusCode::kOk})->ToStatus().ok());
}

TEST(Error, PropagationKeepsTheRootAndSaysWhoNeededIt) {
  const ErrorPtr root = Root();
  const ErrorPtr at_h = Propagate(Propagate(root, "g"), "h");
  EXPECT_EQ(at_h->hops(), 2u);
  EXPECT_EQ(at_h->code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(&at_h->message(), &root->message()) << "the root is copied";
  EXPECT_EQ(at_h->Describe(), root->Describe() + "; needed by g, needed by h");
  EXPECT_EQ(root->hops(), 0u);
}

TEST(Error, PrintsTheFirstAndTheLastHops) {
  ErrorPtr error = Root();
  const std::string prefix = error->Describe();
  for (int i = 0; i < 8; ++i) error = Propagate(error, "g" + std::to_string(i));
  EXPECT_EQ(error->Describe(), prefix +
                                   "; needed by g0, needed by g1, needed by g2, needed by g3, needed by g4, "
                                   "needed by g5, needed by g6, needed by g7");
  error = Propagate(error, "g8");
  EXPECT_EQ(error->Describe(), prefix +
                                   "; needed by g0, needed by g1, needed by g2, needed by g3, ... 1 more ..., "
                                   "needed by g5, needed by g6, needed by g7, needed by g8");
}

TEST(Error, BranchesOfOneCauseDoNotSeeEachOther) {
  ErrorPtr trunk = Root();
  for (int i = 0; i < 6; ++i) trunk = Propagate(trunk, "t");
  const ErrorPtr left = Propagate(Propagate(trunk, "left"), "left2");
  const ErrorPtr right = Propagate(trunk, "right");
  EXPECT_THAT(left->Describe(), EndsWith("needed by t, needed by left, needed by left2"));
  EXPECT_THAT(left->Describe(), Not(HasSubstr("right")));
  EXPECT_THAT(right->Describe(), EndsWith("needed by t, needed by right"));
  EXPECT_THAT(trunk->Describe(), EndsWith("needed by t"));
}

// A list of causes would overflow the stack in its destructor, or keep a million errors alive through the last.
TEST(Error, AMillionPropagationsKeepNothingButTheEnds) {
  ErrorPtr error = Root();
  std::weak_ptr<const Error> early;
  for (int i = 0; i < 1'000'000; ++i) {
    error = Propagate(error, "function_" + std::to_string(i));
    if (i == 1000) early = error;
  }
  EXPECT_TRUE(early.expired());
  EXPECT_EQ(error->hops(), 1'000'000u);
  const std::string text = error->Describe();
  EXPECT_THAT(text,
              HasSubstr("; needed by function_0, needed by function_1, needed by function_2, needed by function_3, "
                        "... 999,992 more ..., needed by function_999996, needed by function_999997, "
                        "needed by function_999998, needed by function_999999"));
  EXPECT_LT(text.size(), 1000u);
}

TEST(Error, AMillionErrorsOfOneChainCanLiveAndDie) {
  std::vector<ErrorPtr> chain = {Root()};
  for (int i = 0; i < 1'000'000; ++i) chain.push_back(Propagate(chain.back(), "a function with a name of some length"));
  EXPECT_EQ(chain.back()->hops(), 1'000'000u);
  EXPECT_LE(sizeof(Error), 160u);
}

TEST(Error, StatusCarriesTheKindAndTheDescription) {
  const ErrorPtr error = Propagate(
      MakeError({.code = absl::StatusCode::kResourceExhausted, .kind = ErrorKind::kStoreFull, .message = "full"}), "g");
  const absl::Status status = error->ToStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(KindOf(status), ErrorKind::kStoreFull);
  EXPECT_EQ(MessageOf(status), error->Describe());
}

TEST(Error, EveryKindGoesThroughAStatusAndHasAName) {
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(ErrorKind::kInvalid); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    EXPECT_EQ(KindOf(MakeStatus(absl::StatusCode::kInternal, kind, "m")), kind);
    EXPECT_THAT(ErrorKindName(kind), Not(::testing::Eq("unknown kind")));
    EXPECT_THAT(names, Not(::testing::Contains(std::string(ErrorKindName(kind)))));
    names.emplace_back(ErrorKindName(kind));
  }
}

TEST(Error, ForeignStatusHasNoKind) {
  EXPECT_EQ(KindOf(absl::OkStatus()), ErrorKind::kGeneric);
  EXPECT_EQ(KindOf(absl::CancelledError("m")), ErrorKind::kGeneric);
  absl::Status odd = absl::InternalError("m");
  odd.SetPayload("rustyray/error_kind", absl::Cord("\xff"));
  EXPECT_EQ(KindOf(odd), ErrorKind::kGeneric);
  odd.SetPayload("rustyray/error_kind", absl::Cord(""));
  EXPECT_EQ(KindOf(odd), ErrorKind::kGeneric);
}

TEST(Error, FromAStatusIsTheFunctionsFailureUnlessItSaysMore) {
  const ErrorPtr plain = ErrorFromStatus(absl::OutOfRangeError("too far"), "f");
  EXPECT_EQ(plain->code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(plain->kind(), ErrorKind::kTask);
  EXPECT_EQ(plain->message(), "too far");
  EXPECT_EQ(plain->function(), "f");
  EXPECT_EQ(ErrorFromStatus(absl::OutOfRangeError("too far"), "")->kind(), ErrorKind::kGeneric);
  const absl::Status full = MakeStatus(absl::StatusCode::kResourceExhausted, ErrorKind::kStoreFull, "full");
  EXPECT_EQ(ErrorFromStatus(full, "f")->kind(), ErrorKind::kStoreFull);
}

struct NotAnException {
  int value;
};

struct QuietException : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

template <class Throw>
ErrorPtr ErrorOf(Throw thrower) {
  try {
    thrower();
  } catch (...) {
    return ErrorFromCurrentException("f");
  }
  return nullptr;
}

TEST(Error, FromAnExceptionNamesItsTypeAndWhat) {
  const ErrorPtr error = ErrorOf([] { throw std::out_of_range("index 7"); });
  EXPECT_EQ(error->message(), "std::out_of_range: index 7");
  EXPECT_EQ(error->kind(), ErrorKind::kTask);
  EXPECT_EQ(error->code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(error->function(), "f");
  EXPECT_THAT(ErrorOf([] { throw QuietException(); })->message(), EndsWith("::QuietException"));
}

TEST(Error, FromWhatIsNoExceptionNamesItsType) {
  constexpr char kText[] = "an exception that is not a std::exception, of type ";
  EXPECT_EQ(ErrorOf([] { throw 7; })->message(), std::string(kText) + "int");
  EXPECT_EQ(ErrorOf([] { throw std::string("oops"); })->message(), std::string(kText) + "std::string");
  EXPECT_THAT(ErrorOf([] { throw NotAnException{1}; })->message(),
              ::testing::AllOf(StartsWith(kText), EndsWith("::NotAnException")));
}

TEST(Error, FromAnExceptionLeavesTheHandlerAsItWas) {
  try {
    try {
      throw std::runtime_error("inner");
    } catch (...) {
      EXPECT_NE(ErrorFromCurrentException("f"), nullptr);
      throw;
    }
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "inner");
  }
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(Error, OutsideAHandlerThereIsNoException) {
  EXPECT_EQ(ErrorFromCurrentException("f")->message(), "no exception is being handled");
}

// Under the thread sanitizer this fails if errors shared between threads are ever written, or statuses shared.
TEST(Error, ThreadsReadAndPropagateOneError) {
  const ErrorPtr error = Propagate(Root(), "g");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([error, t] {
      ErrorPtr mine = error;
      for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(KindOf(error->ToStatus()), ErrorKind::kTask);
        mine = Propagate(mine, "t" + std::to_string(t));
      }
      EXPECT_THAT(mine->Describe(), EndsWith("needed by t" + std::to_string(t)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(error->hops(), 1u);
}

}  // namespace
}  // namespace rustyray::core
