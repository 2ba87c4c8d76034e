// Plasma on the same work. Usage: plasma_bench SERVER, the program plasma-store-server, which it starts and ends.
// C++17, without the C++11 ABI, as the library was built. `names` as in shm_rows.py.
#include <plasma/client.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "timeit.h"

namespace {

plasma::PlasmaClient client;

void Must(const arrow::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "plasma_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

plasma::ObjectID NextId() {
  static std::uint64_t counter = 0;
  ++counter;
  std::string id(plasma::ObjectID::size(), '\0');
  std::memcpy(&id[0], &counter, sizeof(counter));
  return plasma::ObjectID::from_binary(id);
}

// Create, write, seal, release.
plasma::ObjectID Put(const std::vector<char>& bytes) {
  const plasma::ObjectID id = NextId();
  std::shared_ptr<arrow::Buffer> buffer;
  Must(client.Create(id, static_cast<std::int64_t>(bytes.size()), nullptr, 0, &buffer));
  std::memcpy(buffer->mutable_data(), bytes.data(), bytes.size());
  Must(client.Seal(id));
  Must(client.Release(id));
  return id;
}

// What it gives is released when it goes.
void Get(const plasma::ObjectID& id) {
  std::vector<plasma::ObjectBuffer> buffers;
  Must(client.Get({id}, 1000, &buffers));
}

pid_t StartServer(const char* program, const std::string& socket) {
  const pid_t server = fork();
  if (server != 0) return server;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  execl(program, program, "-m", "2000000000", "-s", socket.c_str(), static_cast<char*>(nullptr));
  std::perror(program);
  _exit(1);
}

void Measure() {
  const std::vector<char> small(64, 1);
  TimeIt("put_64B", 100, [&] {
    for (int i = 0; i < 100; ++i) Put(small);
  });
  const plasma::ObjectID id = Put(small);
  TimeIt("get_64B", 100, [&] {
    for (int i = 0; i < 100; ++i) Get(id);
  });
  if (!IsWanted("put_100MiB_gigabytes") && !IsWanted("get_100MiB")) return;
  const std::vector<char> large(100 << 20, 1);
  if (IsWanted("put_100MiB_gigabytes")) {
    for (int i = 0; i < 20; ++i) Put(large);  // each page was written
  }
  TimeIt("put_100MiB_gigabytes", static_cast<double>(large.size()) / 1e9, [&] { Put(large); });
  const plasma::ObjectID large_id = Put(large);
  TimeIt("get_100MiB", 100, [&] {
    for (int i = 0; i < 100; ++i) Get(large_id);
  });
}

}  // namespace

int main(int argc, char** argv) {
  char folder[] = "/tmp/plasma_bench.XXXXXX";
  if (argc != 2 || mkdtemp(folder) == nullptr) {
    std::fprintf(stderr, "usage: plasma_bench SERVER\n");
    return 2;
  }
  const std::string socket = std::string(folder) + "/socket";
  const pid_t server = StartServer(argv[1], socket);
  Must(client.Connect(socket));
  Measure();
  Must(client.Disconnect());
  kill(server, SIGTERM);
  waitpid(server, nullptr, 0);
  unlink(socket.c_str());
  rmdir(folder);
}
