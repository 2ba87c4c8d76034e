// What one call of each kind costs, through Ray's public API alone: this same source is the benchmark of any
// implementation of it.
//   RustyRay: ./bazelw run //benchmarks:ray_bench -- local
//   Ray's SDK (pip install "ray[cpp]" in a venv whose bin is on PATH; R=<site-packages>/ray/cpp):
//     g++ -O2 -std=c++17 -D_GLIBCXX_USE_CXX11_ABI=0 -I$R/include ray_bench.cc -o ray_bench -L$R/lib -lray_api
//       -Wl,-rpath,$R/lib -lpthread
//     The same with -fPIC -shared -o ray_bench.so; then: ./ray_bench --ray_code_search_path=$PWD/ray_bench.so
// Kept to the letter, so that figures of several builds are of one program.
// clang-format off
#include <ray/api.h>

#include <string>
#include <vector>

#include "timeit.h"

int Echo(int x) { return x; }
int Add(int x, int y) { return x + y; }
size_t Length(const std::string& s) { return s.size(); }
RAY_REMOTE(Echo, Add, Length);

struct Counter {
  int value = 0;
  static Counter* Create() { return new Counter(); }
  int Increment(int x) { return value += x; }
};
RAY_REMOTE(Counter::Create, &Counter::Increment);

int main(int argc, char** argv) {
  ray::RayConfig config;
  config.local_mode = argc > 1 && std::string(argv[1]) == "local";
  ray::Init(config, argc, argv);
  TimeIt("put_small", 1000, [] { for (int i = 0; i < 1000; ++i) ray::Put(i); });
  auto small = ray::Put(5);
  TimeIt("get_small", 1000, [&] { for (int i = 0; i < 1000; ++i) ray::Get(small); });
  const std::string bytes(100 << 20, 'x');
  TimeIt("put_100MiB_gigabytes", bytes.size() / 1e9, [&] { ray::Put(bytes); });
  auto large = ray::Put(bytes);
  TimeIt("get_100MiB_calls", 1, [&] { ray::Get(large); });
  TimeIt("pass_100MiB_to_task_calls", 1, [&] { ray::Get(ray::Task(Length).Remote(large)); });
  TimeIt("task_waited_for", 100, [] { for (int i = 0; i < 100; ++i) ray::Get(ray::Task(Echo).Remote(i)); });
  TimeIt("tasks_in_flight", 1000, [] {
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < 1000; ++i) refs.push_back(ray::Task(Echo).Remote(i));
    ray::Get(refs);
  });
  TimeIt("tasks_in_a_chain", 100, [] {
    auto ref = ray::Task(Echo).Remote(0);
    for (int i = 1; i < 100; ++i) ref = ray::Task(Add).Remote(ref, 1);
    ray::Get(ref);
  });
  auto counter = ray::Actor(Counter::Create).Remote();
  TimeIt("actor_call_waited_for", 100, [&] {
    for (int i = 0; i < 100; ++i) ray::Get(counter.Task(&Counter::Increment).Remote(1));
  });
  TimeIt("actor_calls_in_flight", 1000, [&] {
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < 1000; ++i) refs.push_back(counter.Task(&Counter::Increment).Remote(1));
    ray::Get(refs);
  });
  ray::Shutdown();
}
