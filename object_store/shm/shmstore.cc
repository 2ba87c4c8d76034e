// shmstore: looks into and works on shared-memory stores from the command line. `shmstore help` says how.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/type_name.h"
#include "object_store/object_store.h"
#include "object_store/shm/shm_store.h"
#include "object_store/shm/shmstore_arguments.h"
#include "object_store/shm/shmstore_output.h"

namespace rustyray::object_store::shmstore {
namespace {

using core::ObjectId;

// --- Signals.

constexpr std::array<int, 3> kEndingSignals = {SIGINT, SIGTERM, SIGHUP};
volatile std::sig_atomic_t interrupted = 0;

// From here on these signals interrupt what sleeps, and set `interrupted`; those that were ignored stay so. One that
// comes just before a sleep begins would be slept over: so an alarm follows.
void CatchEndingSignals() {
  struct sigaction act = {};
  act.sa_handler = [](int) {
    interrupted = 1;
    alarm(1);
  };
  sigaction(SIGALRM, &act, nullptr);
  for (const int signal : kEndingSignals) {
    struct sigaction before = {};
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(signal, &act, nullptr);
  }
}

// --- Files.

absl::Status SystemError(const std::string& what) {
  return absl::UnknownError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// Bytes that were read before the end came, at most `into` has.
absl::StatusOr<std::size_t> Read(int fd, const std::string& name, std::span<std::byte> into) {
  std::size_t got = 0;
  while (got < into.size()) {
    const ssize_t now = read(fd, into.data() + got, into.size() - got);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return SystemError("cannot read " + name);
    if (now == 0) break;
    got += static_cast<std::size_t>(now);
  }
  return got;
}

absl::Status Write(int fd, const std::string& name, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t now = write(fd, bytes.data(), bytes.size());
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return SystemError("cannot write " + name);
    bytes = bytes.subspan(static_cast<std::size_t>(now));
  }
  return absl::OkStatus();
}

absl::Status Print(const std::string& text) {
  return Write(STDOUT_FILENO, "to the standard output", std::as_bytes(std::span(text)));
}

// --- What commands share.

absl::StatusOr<ShmStore> Open(const Arguments& arguments) {
  return ShmStore::Open(arguments.words[0], arguments.Text("--directory", "/dev/shm"));
}

// Types whose arrays C++ programs read in place, by their readable names.
struct ArrayType {
  ShmType type;
  std::size_t element;
};

template <class... E>
std::map<std::string, ArrayType> ArrayTypesOf() {
  return {{core::ReadableTypeName(ShmType::ArrayOf<E>().name), {ShmType::ArrayOf<E>(), sizeof(E)}}...};
}

const std::map<std::string, ArrayType>& ArrayTypes() {
  static const auto types = ArrayTypesOf<double, float, signed char, unsigned char, short, unsigned short, int,
                                         unsigned, long, unsigned long, long long, unsigned long long>();
  return types;
}

std::string StateOf(const ShmObjectInfo& object) { return object.sealed ? "sealed" : "being written"; }
std::string LifetimeOf(const ShmObjectInfo& object) { return object.lifetime == Lifetime::kOwned ? "owned" : "cache"; }

Json JsonOf(const ShmObjectInfo& object) {
  Json json;
  json.Text("id", object.id.Hex()).Number("size", object.size).Text("type", object.type_name);
  json.Boolean("sealed", object.sealed).Text("lifetime", LifetimeOf(object));
  return json;
}

// How many processes have it, this one aside.
std::size_t OtherProcesses(const ShmStatistics& statistics) {
  return statistics.pids.size() - std::min<std::size_t>(1, statistics.pids.size());
}

// --- Commands.

absl::Status Create(const Arguments& arguments) {
  ShmStoreOptions options{.name = arguments.words.empty() ? "" : arguments.words[0],
                          .directory = arguments.Text("--directory", "/dev/shm"),
                          .keep = arguments.Has("--keep")};
  if (const auto limit = arguments.Number("--limit")) options.limit_bytes = *limit;
  if (const auto most = arguments.Number("--max-objects")) options.max_objects = *most;
  // Before the name is printed: whoever reads it may send one at once.
  sigset_t ending;
  sigemptyset(&ending);
  for (const int signal : kEndingSignals) sigaddset(&ending, signal);
  if (!options.keep) sigprocmask(SIG_BLOCK, &ending, nullptr);

  const absl::StatusOr<ShmStore> store = ShmStore::Create(options);
  if (!store.ok()) return store.status();
  Json json;
  json.Text("name", store->name()).Number("limit_bytes", store->limit_bytes()).Boolean("keep", options.keep);
  const absl::Status printed = Print(arguments.Has("--json") ? json.Object() + "\n" : store->name() + "\n");
  if (!printed.ok() || options.keep) return printed;
  int signal = 0;
  sigwait(&ending, &signal);
  return absl::OkStatus();
}

absl::Status ListObjects(const Arguments& arguments) {
  absl::StatusOr<ShmStore> store = Open(arguments);
  if (!store.ok()) return store.status();
  absl::StatusOr<std::vector<ShmObjectInfo>> objects = store->List();
  if (!objects.ok()) return objects.status();
  std::sort(objects->begin(), objects->end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::vector<std::string> json;
  std::vector<std::vector<std::string>> rows = {{"ID", ">SIZE", "TYPE", "STATE", "LIFETIME", ">PINNED BY"}};
  for (const ShmObjectInfo& object : *objects) {
    const auto pinned = static_cast<std::uint64_t>(object.pinned_by);
    json.push_back(JsonOf(object).Number("pinned_by", pinned).Object());
    rows.push_back({object.id.Hex(), ReadableSize(object.size), object.type_name, StateOf(object), LifetimeOf(object),
                    absl::StrCat(pinned)});
  }
  return Print(arguments.Has("--json") ? JsonArray(json) : Table(std::move(rows)));
}

absl::Status List(const Arguments& arguments) {
  if (!arguments.words.empty()) return ListObjects(arguments);
  const std::string directory = arguments.Text("--directory", "/dev/shm");
  if (access(directory.c_str(), R_OK | X_OK) != 0) return SystemError("cannot look into " + directory);
  std::vector<std::string> json;
  std::vector<std::vector<std::string>> rows = {{"NAME", ">OBJECTS", ">BYTES", ">LIMIT", ">PROCESSES", "PROBLEM"}};
  for (const std::string& name : ShmStore::Names(directory)) {
    absl::StatusOr<ShmStore> store = ShmStore::Open(name, directory);
    const absl::StatusOr<ShmStatistics> now = store.ok() ? store->Statistics() : store.status();
    if (absl::IsNotFound(now.status())) continue;  // it went meanwhile, or was left behind
    Json line;
    line.Text("name", name);
    if (now.ok()) {
      line.Number("objects", now->objects).Number("bytes", now->bytes).Number("limit_bytes", now->limit_bytes);
      line.Number("processes", OtherProcesses(*now));
      rows.push_back({name, absl::StrCat(now->objects), ReadableSize(now->bytes), ReadableSize(now->limit_bytes),
                      absl::StrCat(OtherProcesses(*now)), ""});
    } else {
      const std::string problem(now.status().message());
      line.Text("problem", problem);
      rows.push_back({name, "-", "-", "-", "-", problem});
    }
    json.push_back(line.Object());
  }
  return Print(arguments.Has("--json") ? JsonArray(json) : Table(std::move(rows)));
}

absl::Status Stat(const Arguments& arguments) {
  absl::StatusOr<ShmStore> store = Open(arguments);
  if (!store.ok()) return store.status();
  absl::StatusOr<ShmStatistics> now = store->Statistics();
  if (!now.ok()) return now.status();
  std::erase(now->pids, static_cast<std::uint32_t>(getpid()));
  std::string pids;
  for (const std::uint32_t pid : now->pids) absl::StrAppend(&pids, pids.empty() ? "" : ", ", pid);
  if (arguments.Has("--json")) {
    Json json;
    json.Text("name", store->name()).Number("limit_bytes", now->limit_bytes).Number("objects", now->objects);
    json.Number("bytes", now->bytes).Number("being_written", now->being_written);
    json.Number("deleted_but_pinned", now->deleted_but_pinned);
    json.Number("deleted_but_pinned_bytes", now->deleted_but_pinned_bytes);
    json.Number("free_bytes", now->free_bytes).Number("largest_hole", now->largest_hole);
    json.Number("evictions", now->evictions).Number("recoveries", now->recoveries).Number("lost", now->lost);
    return Print(json.Raw("pids", "[" + pids + "]").Object() + "\n");
  }
  return Print(Table(
      {{"name", store->name()},
       {"limit", ReadableSize(now->limit_bytes)},
       {"objects", absl::StrCat(now->objects, ", ", ReadableSize(now->bytes))},
       {"being written", absl::StrCat(now->being_written)},
       {"deleted but pinned", absl::StrCat(now->deleted_but_pinned, ", ", ReadableSize(now->deleted_but_pinned_bytes))},
       {"free", absl::StrCat(ReadableSize(now->free_bytes), ", largest hole ", ReadableSize(now->largest_hole))},
       {"evictions", absl::StrCat(now->evictions)},
       {"recoveries", absl::StrCat(now->recoveries)},
       {"objects lost", absl::StrCat(now->lost)},
       {"processes", pids.empty() ? "none" : pids}}));
}

absl::Status Put(const Arguments& arguments) {
  const std::string& id_text = arguments.words[1];
  const bool draw = id_text == "-" || id_text == "new";
  const absl::StatusOr<ObjectId> id = draw ? ObjectId::Random() : ObjectId::FromHex(id_text);
  if (!id.ok()) return id.status();
  const std::string& file = arguments.words[2];
  const std::string name = file == "-" ? "the standard input" : file;
  const std::string type_name = arguments.Text("--type", "bytes");
  const auto array = ArrayTypes().find(type_name);
  const ShmType type = array == ArrayTypes().end() ? ShmType{.name = type_name} : array->second.type;

  absl::StatusOr<ShmStore> store = Open(arguments);
  if (!store.ok()) return store.status();
  const int fd = file == "-" ? STDIN_FILENO : open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open " + file);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat found = {};
  if (fstat(fd, &found) != 0) return SystemError("cannot look at " + name);
  std::vector<std::byte> held;  // of what does not say its size: pipes, terminals
  auto size = static_cast<std::size_t>(found.st_size);
  const bool sized = S_ISREG(found.st_mode) && lseek(fd, 0, SEEK_CUR) == 0;
  for (bool ended = sized; !ended;) {
    constexpr std::size_t kStep = std::size_t{1} << 20;
    const std::size_t before = held.size();
    if (before > store->limit_bytes()) break;  // it will never fit: Create says so
    held.resize(before + kStep);
    const absl::StatusOr<std::size_t> got = Read(fd, name, std::span(held).subspan(before));
    if (!got.ok()) return got.status();
    held.resize(before + *got);
    ended = *got < kStep;
  }
  if (!sized) size = held.size();
  if (array != ArrayTypes().end() && size % array->second.element != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " has ", size, " bytes: a ", type_name, " has a multiple of ", array->second.element));
  }
  absl::StatusOr<ShmWriter> writer = store->Create(*id, size, type, {.checksum = arguments.Has("--checksum")});
  if (!writer.ok()) return writer.status();
  if (sized) {
    const absl::StatusOr<std::size_t> got = Read(fd, name, writer->bytes());
    if (!got.ok()) return got.status();
    if (*got != size) return absl::AbortedError(absl::StrCat(name, " became shorter while it was read"));
  } else if (size > 0) {
    std::memcpy(writer->bytes().data(), held.data(), size);
  }
  const absl::StatusOr<ShmObject> object = std::move(*writer).Seal();
  if (!object.ok()) return object.status();
  Json json;
  json.Text("id", id->Hex()).Number("size", size).Text("type", object->type_name());
  return Print(arguments.Has("--json") ? json.Object() + "\n" : id->Hex() + "\n");
}

absl::Status Get(const Arguments& arguments) {
  const absl::StatusOr<ObjectId> id = ObjectId::FromHex(arguments.words[1]);
  if (!id.ok()) return id.status();
  absl::StatusOr<ShmStore> store = Open(arguments);
  if (!store.ok()) return store.status();
  const auto patience = arguments.Seconds("--wait");
  const absl::StatusOr<ShmObject> object =
      patience.has_value() ? store->Wait(*id, core::SaturatingAdd(std::chrono::steady_clock::now(), *patience))
                           : store->Get(*id);
  if (!object.ok()) return object.status();
  if (arguments.Has("--verify")) {
    if (absl::Status status = object->Verify(); !status.ok()) return status;
  }
  if (!arguments.Has("-o")) return Write(STDOUT_FILENO, "to the standard output", object->bytes());
  const std::string file = arguments.Text("-o", "");
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return SystemError("cannot write " + file);
  const absl::Status written = Write(fd, file, object->bytes());
  // Some file systems tell only now.
  if (close(fd) != 0 && written.ok()) return SystemError("cannot write " + file);
  return written;
}

absl::Status Remove(const Arguments& arguments) {
  if (arguments.words.size() == 1) {
    return ShmStore::Remove(arguments.words[0], arguments.Text("--directory", "/dev/shm"));
  }
  const absl::StatusOr<ObjectId> id = ObjectId::FromHex(arguments.words[1]);
  if (!id.ok()) return id.status();
  absl::StatusOr<ShmStore> store = Open(arguments);
  return store.ok() ? store->Delete(*id) : store.status();
}

absl::Status Watch(const Arguments& arguments) {
  CatchEndingSignals();
  absl::StatusOr<ShmStore> store = Open(arguments);
  if (!store.ok()) return store.status();
  const auto patience = arguments.Seconds("--for");
  const core::Time end =
      patience.has_value() ? core::SaturatingAdd(std::chrono::steady_clock::now(), *patience) : core::kNever;
  std::optional<std::uint64_t> left = arguments.Number("--events");
  const auto tell = [&](const char* event, const ShmObjectInfo& object) {
    if (left.has_value() && (*left)-- == 0) return absl::CancelledError();
    if (arguments.Has("--json")) {
      Json json;
      json.Text("event", event).Text("id", object.id.Hex()).Number("size", object.size).Text("type", object.type_name);
      return Print(json.Object() + "\n");
    }
    std::string padded(event);
    padded.resize(6, ' ');
    return Print(Table({{padded, object.id.Hex(), ReadableSize(object.size), object.type_name}}));
  };
  std::map<ObjectId, ShmObjectInfo> known;
  while (interrupted == 0 && left != 0 && std::chrono::steady_clock::now() < end) {
    const std::uint32_t token = store->WatchToken();
    const absl::StatusOr<std::vector<ShmObjectInfo>> objects = store->List();
    if (!objects.ok()) return objects.status();
    std::map<ObjectId, ShmObjectInfo> there;
    for (const ShmObjectInfo& object : *objects) {
      if (object.sealed) there.emplace(object.id, object);
    }
    const auto same = [](const ShmObjectInfo& a, const ShmObjectInfo& b) {
      return a.size == b.size && a.type_name == b.type_name;
    };
    absl::Status told;
    for (const auto& [id, object] : known) {
      const auto found = there.find(id);
      if (told.ok() && (found == there.end() || !same(found->second, object))) told = tell("gone", object);
    }
    for (const auto& [id, object] : there) {
      const auto found = known.find(id);
      if (told.ok() && (found == known.end() || !same(found->second, object))) told = tell("sealed", object);
    }
    if (absl::IsCancelled(told)) return absl::OkStatus();
    if (!told.ok()) return told;
    known = std::move(there);
    if (interrupted == 0 && left != 0) store->AwaitChange(token, end);
  }
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& words) {
  signal(SIGPIPE, SIG_IGN);  // then it is an error, and the store is left in order
  const absl::StatusOr<Arguments> arguments = Parse(words);
  if (!arguments.ok()) {
    std::fprintf(stderr, "shmstore: %s\nTry: shmstore help\n", std::string(arguments.status().message()).c_str());
    return 2;
  }
  if (arguments->help) {
    return Print(arguments->command == nullptr ? Help() : HelpOf(*arguments->command)).ok() ? 0 : 1;
  }
  static const std::map<std::string_view, absl::Status (*)(const Arguments&)> runs = {
      {"create", Create}, {"ls", List}, {"stat", Stat}, {"put", Put}, {"get", Get}, {"rm", Remove}, {"watch", Watch}};
  const absl::Status status = runs.at(arguments->command->name)(*arguments);
  if (status.ok()) return 0;
  std::fprintf(stderr, "shmstore: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace rustyray::object_store::shmstore

int main(int argc, char** argv) {
  return rustyray::object_store::shmstore::Main(std::vector<std::string>(argv + 1, argv + argc));
}
