#include "task/function_registry.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "core/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "task/registration.h"

namespace rustyray::task {
namespace {

using testing::AllOf;
using testing::HasSubstr;

int Add(int a, int b) { return a + b; }
int Subtract(int a, int b) { return a - b; }
int Multiply(int a, int b) { return a * b; }

AnyFunction Any(int (*function)(int, int)) { return reinterpret_cast<AnyFunction>(function); }
std::string Text(const absl::Status& status) { return std::string(status.message()); }

// A list as RAY_REMOTE makes one: it grows at its head.
struct List {
  void Append(Registration& registration) {
    registration.next = head;
    head = &registration;
  }
  Registration* head = nullptr;
};

TEST(FunctionRegistry, FindsByFunctionAndByName) {
  List list;
  Registration add = MakeRegistration("Add", &Add), subtract = MakeRegistration("Subtract", &Subtract);
  list.Append(add);
  list.Append(subtract);
  FunctionRegistry registry;
  EXPECT_EQ(registry.Find(Any(&Add)), nullptr);
  ASSERT_TRUE(registry.AddAll(list.head).ok());
  EXPECT_TRUE(registry.AddAll(list.head).ok()) << "nothing new";
  EXPECT_EQ(registry.Find(Any(&Add)), *registry.FindByName("Add"));
  EXPECT_NE(registry.Find(Any(&Subtract)), nullptr);
  EXPECT_EQ(registry.Find(Any(&Multiply)), nullptr);
}

TEST(FunctionRegistry, AnUnknownNameIsNotFoundAndCloseOnesAreNamed) {
  List list;
  Registration add = MakeRegistration("Add", &Add), subtract = MakeRegistration("Subtract", &Subtract);
  list.Append(add);
  list.Append(subtract);
  FunctionRegistry registry;
  ASSERT_TRUE(registry.AddAll(list.head).ok());
  const absl::Status status = registry.FindByName("Addd").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(core::KindOf(status), core::ErrorKind::kFunctionNotFound);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("'Addd'"), HasSubstr("there is 'Add'"), HasSubstr("RAY_REMOTE(Addd)")));
  EXPECT_THAT(Text(status), testing::Not(HasSubstr("Subtract")));
}

TEST(FunctionRegistry, OneNameForTwoFunctionsIsAnErrorThatNamesBothPlaces) {
  List list;
  Registration first = MakeRegistration("Add", &Add, "a.cc", 3), second = MakeRegistration("Add", &Subtract, "b.cc", 4);
  list.Append(first);
  list.Append(second);
  FunctionRegistry registry;
  const absl::Status status = registry.AddAll(list.head);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("a name is registered twice"), HasSubstr("'Add' at a.cc:3"),
                                  HasSubstr("'Add' at b.cc:4")));
  EXPECT_NE(registry.Find(Any(&Add)), nullptr) << "the first is there all the same";
}

TEST(FunctionRegistry, OneFunctionUnderTwoNamesIsAnError) {
  List list;
  Registration first = MakeRegistration("Add", &Add, "a.cc", 3), second = MakeRegistration("Plus", &Add, "a.cc", 4);
  list.Append(first);
  list.Append(second);
  FunctionRegistry registry;
  EXPECT_THAT(Text(registry.AddAll(list.head)),
              AllOf(HasSubstr("a function is registered twice"), HasSubstr("'Plus'")));
}

TEST(FunctionRegistry, TheSameRegistrationFromSeveralFilesIsOne) {
  List list;
  // A static function of a header: an address in each file, one place.
  Registration first = MakeRegistration("Add", &Add, "a.h", 3), second = MakeRegistration("Add", &Subtract, "a.h", 3);
  list.Append(first);
  list.Append(second);
  FunctionRegistry registry;
  EXPECT_TRUE(registry.AddAll(list.head).ok());
  EXPECT_NE(registry.Find(Any(&Add)), nullptr);
  EXPECT_EQ(registry.Find(Any(&Add)), registry.Find(Any(&Subtract)));
}

List late_list;

TEST(FunctionRegistry, WhatIsRegisteredLaterIsPickedUpOnAMiss) {
  Registration add = MakeRegistration("Add", &Add), multiply = MakeRegistration("Multiply", &Multiply);
  late_list.Append(add);
  FunctionRegistry registry(+[]() -> const Registration* { return late_list.head; });
  ASSERT_TRUE(registry.AddAll(late_list.head).ok());
  const auto* const found = registry.Find(Any(&Add));
  EXPECT_EQ(registry.Find(Any(&Multiply)), nullptr);
  late_list.Append(multiply);
  EXPECT_NE(registry.Find(Any(&Multiply)), nullptr);
  EXPECT_TRUE(registry.FindByName("Multiply").ok());
  EXPECT_EQ(registry.Find(Any(&Add)), found);
}

TEST(FunctionRegistry, LookupsRaceRefills) {
  static std::atomic<const Registration*> head;
  std::vector<Registration> registrations(200);
  static std::vector<std::string> names;
  names.clear();
  for (int i = 0; i < 200; ++i) names.push_back("f" + std::to_string(i));
  head.store(nullptr);
  FunctionRegistry registry(+[]() -> const Registration* { return head.load(); });
  std::atomic<int> published{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (published.load() < 200) {
        const int known = published.load();
        if (known > 0) {
          EXPECT_TRUE(registry.FindByName(names[known - 1]).ok());
        }
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    registrations[i] = MakeRegistration(names[i], &Add, "a.cc", i);
    // Each needs an address of its own; nobody calls it.
    registrations[i].function = reinterpret_cast<AnyFunction>(static_cast<std::uintptr_t>(0x1000 + i));
    registrations[i].next = const_cast<Registration*>(head.load());
    head.store(&registrations[i]);
    published.store(i + 1);
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace rustyray::task
