// apt-get install libcaf-dev; g++ -O2 -std=c++17 caf_bench.cc -lcaf_core -lpthread
#include <caf/all.hpp>
#include <functional>
#include <memory>

#include "timeit.h"

caf::behavior Counter(caf::stateful_actor<int>* self) {
  self->state = 0;
  return {[=](int x) { return self->state += x; }};
}

// Sends n requests to `target` at once and answers when all have answered.
caf::behavior Burst(caf::event_based_actor* self, caf::actor target) {
  return {[=](int n) {
    auto promise = self->make_response_promise<int>();
    auto left = std::make_shared<int>(n);
    for (int i = 0; i < n; ++i)
      self->request(target, caf::infinite, 1).then([=](int value) mutable {
        if (--*left == 0) promise.deliver(value);
      });
    return promise;
  }};
}

// Sends n requests to `target`, each after the last one's answer.
caf::behavior PingPong(caf::event_based_actor* self, caf::actor target) {
  return {[=](int n) {
    auto promise = self->make_response_promise<int>();
    auto step = std::make_shared<std::function<void(int)>>();
    *step = [=](int left) mutable {
      if (left == 0) return promise.deliver(0), void();
      self->request(target, caf::infinite, 1).then([=](int) { (*step)(left - 1); });
    };
    (*step)(n);
    return promise;
  }};
}

void caf_main(caf::actor_system& system) {
  caf::scoped_actor self{system};
  auto counter = system.spawn(Counter);
  auto call = [&](const caf::actor& target, int n) {
    self->request(target, caf::infinite, n).receive([](int) {}, [](caf::error&) {});
  };
  TimeIt("actor_call_waited_for", 1000, [&] {
    for (int i = 0; i < 1000; ++i) call(counter, 1);
  });
  TimeIt("actor_calls_in_flight", 1000, [&] {
    for (int i = 0; i < 1000; ++i) self->send(counter, 1);
    for (int got = 0; got < 1000;) self->receive([&](int) { ++got; });
  });
  auto burst = system.spawn(Burst, counter);
  TimeIt("actor_to_actor_in_flight", 1000, [&] { call(burst, 1000); });
  auto ping_pong = system.spawn(PingPong, counter);
  TimeIt("actor_to_actor_ping_pong", 1000, [&] { call(ping_pong, 1000); });
  for (auto& actor : {counter, burst, ping_pong}) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}
CAF_MAIN()
