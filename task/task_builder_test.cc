// Calls by name: arguments whose types meet their parameters at run time.
#include "task/task_builder.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "task/registration.h"
#include "task/task_fixture.h"

namespace rustyray::task {
namespace {

using core::ErrorKind;
using core::KindOf;
using core::ObjectRef;
using testing::AllOf;
using testing::HasSubstr;

int Add(int a, int b) { return a + b; }
std::string Greet(const std::string& name) { return "hello " + name; }
double Half(double d) { return d / 2; }
unsigned char Byte(unsigned char c) { return c; }
bool IsReady(ObjectRef ref) { return ref.ready(); }
int Sum(std::vector<int> v) {
  int sum = 0;
  for (const int i : v) sum += i;
  return sum;
}
int Unpack(std::unique_ptr<int> p) { return *p; }
void Grow(std::string& s) { s += "!"; }
int Nullary() { return 7; }

std::string Text(const absl::Status& status) { return std::string(status.message()); }

class TaskBuilderTest : public TaskFixture {
 protected:
  TaskBuilderTest() {
    Registration* head = nullptr;
    for (Registration& registration : registrations_) {
      registration.next = head;
      head = &registration;
    }
    EXPECT_TRUE(registry.AddAll(head).ok());
  }
  template <class T>
  T Value(const absl::StatusOr<ObjectRef>& ref) {
    EXPECT_TRUE(ref.ok()) << ref.status();
    absl::StatusOr<T> value = ref->Get<T>();
    EXPECT_TRUE(value.ok()) << value.status();
    return *std::move(value);
  }

 private:
  std::vector<Registration> registrations_ = {
      MakeRegistration("Add", &Add),   MakeRegistration("Greet", &Greet),     MakeRegistration("Half", &Half),
      MakeRegistration("Byte", &Byte), MakeRegistration("IsReady", &IsReady), MakeRegistration("Sum", &Sum),
      MakeRegistration("Grow", &Grow), MakeRegistration("Unpack", &Unpack),   MakeRegistration("Nullary", &Nullary)};
};

TEST_F(TaskBuilderTest, CallsWithValuesAndRefs) {
  const ObjectRef put = owner.Put(4);
  EXPECT_EQ(Value<int>(TaskBuilder(tasks, "Add").Arg(5).Arg(put).Submit()), 9);
  EXPECT_EQ(Value<int>(TaskBuilder(tasks, "Nullary").Submit()), 7);
  EXPECT_EQ(Value<std::string>(TaskBuilder(tasks, "Greet").Arg("world").Submit()), "hello world");
  EXPECT_EQ(Value<std::string>(TaskBuilder(tasks, "Greet").Arg(owner.Put(std::string("you"))).Submit()), "hello you");
  EXPECT_EQ(Value<int>(TaskBuilder(tasks, "Sum").Arg(std::vector<int>{1, 2}).Submit()), 3);
  EXPECT_EQ(Value<int>(TaskBuilder(tasks, "Unpack").Arg(std::make_unique<int>(3)).Submit()), 3);
  EXPECT_EQ(Value<Nothing>(TaskBuilder(tasks, "Grow").Arg("text").Submit()), Nothing());
}

TEST_F(TaskBuilderTest, ARefParameterGetsTheRef) {
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  EXPECT_FALSE(Value<bool>(TaskBuilder(tasks, "IsReady").Arg(pending).Submit()));
  promised->Seal(1);
}

TEST_F(TaskBuilderTest, ArithmeticValuesConvertWhenNothingIsLost) {
  EXPECT_EQ(Value<double>(TaskBuilder(tasks, "Half").Arg(3).Submit()), 1.5);
  EXPECT_EQ(Value<double>(TaskBuilder(tasks, "Half").Arg(3.0f).Submit()), 1.5);
  EXPECT_EQ(Value<int>(TaskBuilder(tasks, "Add").Arg(5L).Arg('\1').Submit()), 6);
  const absl::Status narrows = TaskBuilder(tasks, "Byte").Arg(300).Submit().status();
  EXPECT_THAT(Text(narrows), AllOf(HasSubstr("argument 1"), HasSubstr("does not fit")));
  const absl::Status fraction = TaskBuilder(tasks, "Add").Arg(1.5).Arg(1).Submit().status();
  EXPECT_THAT(Text(fraction), AllOf(HasSubstr("argument 1"), HasSubstr("int"), HasSubstr("double")));
}

// What reads as the same number may be another: the sign and the size of the type given count.
TEST_F(TaskBuilderTest, ValuesThatWouldChangeTheirSignOrSizeAreRefused) {
  EXPECT_FALSE(TaskBuilder(tasks, "Byte").Arg(-1).Submit().ok());
  EXPECT_FALSE(TaskBuilder(tasks, "Add").Arg(~0ull).Arg(1).Submit().ok());
  EXPECT_FALSE(TaskBuilder(tasks, "Add").Arg(1LL << 40).Arg(1).Submit().ok());
  EXPECT_EQ(Value<double>(TaskBuilder(tasks, "Half").Arg(1ull << 63).Submit()), 4611686018427387904.0);
}

TEST_F(TaskBuilderTest, AWrongTypeNamesTheArgumentAndBothTypes) {
  const absl::Status status = TaskBuilder(tasks, "Add").Arg(1).Arg(std::string("text")).Submit().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(KindOf(status), ErrorKind::kTypeMismatch);
  EXPECT_THAT(Text(status), HasSubstr("call of 'Add': argument 2 must be a int, but a std::string was given"));
}

TEST_F(TaskBuilderTest, TheFirstWrongArgumentIsNamed) {
  const absl::Status status = TaskBuilder(tasks, "Add").Arg("a").Arg("b").Submit().status();
  EXPECT_THAT(Text(status), HasSubstr("argument 1"));
}

TEST_F(TaskBuilderTest, AWrongCountNamesBothNumbers) {
  EXPECT_THAT(Text(TaskBuilder(tasks, "Add").Arg(1).Submit().status()),
              HasSubstr("call of 'Add': it takes 2 arguments, but 1 was given"));
  EXPECT_THAT(Text(TaskBuilder(tasks, "Sum").Submit().status()), HasSubstr("it takes 1 argument, but 0 were given"));
}

TEST_F(TaskBuilderTest, AWrongNameIsNotFound) {
  const absl::Status status = TaskBuilder(tasks, "Addd").Arg(1).Submit().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("'Addd'"), HasSubstr("'Add'")));
}

TEST_F(TaskBuilderTest, ARefToAWrongTypeIsTheCallsError) {
  const absl::StatusOr<ObjectRef> ref = TaskBuilder(tasks, "Add").Arg(1).Arg(owner.Put(std::string("text"))).Submit();
  ASSERT_TRUE(ref.ok());
  EXPECT_THAT(Text(ref->Wait()), AllOf(HasSubstr("argument 2"), HasSubstr("int"), HasSubstr("std::string")));
}

TEST_F(TaskBuilderTest, AnEmptyRefAndAValueForARefParameterAreErrors) {
  EXPECT_THAT(Text(TaskBuilder(tasks, "Add").Arg(1).Arg(ObjectRef()).Submit().status()),
              AllOf(HasSubstr("argument 2"), HasSubstr("empty object ref")));
  EXPECT_THAT(Text(TaskBuilder(tasks, "IsReady").Arg(1).Submit().status()), HasSubstr("argument 1"));
}

TEST_F(TaskBuilderTest, OptionsApply) {
  const absl::StatusOr<ObjectRef> ref = TaskBuilder(tasks, "Add")
                                            .Options({.name = "my sum", .deadline = std::chrono::milliseconds(1)})
                                            .Arg(1)
                                            .Arg(1)
                                            .Submit();
  clock.Advance(std::chrono::milliseconds(2));
  EXPECT_EQ(KindOf(ref->Wait()), ErrorKind::kDeadline);
  EXPECT_THAT(Text(ref->Wait()), HasSubstr("my sum"));
}

}  // namespace
}  // namespace rustyray::task
