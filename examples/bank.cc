// A bank of actors: accounts that are killed, exit and throw while tasks transfer money between them. No money is lost.
//
//   Transfer (tasks) -> Supervisor -> Account -> Ledger
//
// An arrow is a wait, and none runs back: a transfer withdraws, then deposits, and no account waits for another, so
// that waits never close a cycle. An account's state lies in the ledger. A new instance opens its book there, which
// shuts out the instance before it; each entry is written before it counts. An answer may be lost after its entry was
// written, so transfers are tried again under the same number, and an account books each number once.
//
// A seed decides on money, transfers and failures, and with --replay on the schedule too: who runs when. The program
// checks each against the books; see --help.
#include <ray/api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kAccounts = 6;
constexpr int kTransfers = 40;
constexpr int kTransfersToAFailure = 3;
constexpr int kMostAttempts = 1000;

// --- The ledger: what must not be lost. Nobody kills it.

struct Book {
  int epoch = 0;  // how many instances of the account opened it
  int opened_with = 0;
  std::map<int, int> entries;  // the amount of each transfer

  int Balance() const {
    int balance = opened_with;
    for (const auto& [transfer, amount] : entries) balance += amount;
    return balance;
  }
};

class Ledger {
 public:
  static Ledger* Create(const std::vector<int>& money) {
    auto* ledger = new Ledger;
    for (const int amount : money) ledger->books_.emplace_back().opened_with = amount;
    return ledger;
  }

  Book Open(int account) {
    ++books_[account].epoch;
    return books_[account];
  }
  // False for an instance that is not the account's latest: it may not know of all entries.
  bool Write(int account, int epoch, int transfer, int amount) {
    Book& book = books_[account];
    if (epoch != book.epoch) return false;
    book.entries.emplace(transfer, amount);
    return true;
  }
  std::vector<Book> Books() const { return books_; }

 private:
  std::vector<Book> books_;
};

// --- Accounts.

enum class Failure { kNone, kThrow, kExit, kExitUnanswered };

class Account {
 public:
  static Account* Create(int number, ray::ActorHandle<Ledger> ledger) { return new Account(number, ledger); }

  // Whether `amount`, negative to withdraw, is booked under `transfer`; not without the money.
  bool Apply(int transfer, int amount, Failure injected) {
    if (injected == Failure::kThrow) throw std::runtime_error("out of ink");
    if (injected == Failure::kExit) ray::ExitActor();
    if (book_.entries.count(transfer) != 0) return true;
    if (balance_ + amount < 0) return false;
    if (!*ray::Get(ledger_.Task(&Ledger::Write).Remote(number_, book_.epoch, transfer, amount))) {
      throw std::runtime_error("another instance has the book");
    }
    if (injected == Failure::kExitUnanswered) ray::ExitActor();
    book_.entries.emplace(transfer, amount);
    balance_ += amount;
    return true;
  }
  int Balance() const { return balance_; }

 private:
  Account(int number, const ray::ActorHandle<Ledger>& ledger)
      : number_(number),
        ledger_(ledger),
        book_(*ray::Get(ledger.Task(&Ledger::Open).Remote(number))),
        balance_(book_.Balance()) {}

  const int number_;
  const ray::ActorHandle<Ledger> ledger_;
  Book book_;
  int balance_;
};

// --- The supervisor: who is the account with this number? It replaces those that ended for good.

class Supervisor {
 public:
  static Supervisor* Create(ray::ActorHandle<Ledger> ledger) {
    auto* supervisor = new Supervisor(ledger);
    for (int number = 0; number < kAccounts; ++number) supervisor->accounts_.push_back(supervisor->Start(number));
    return supervisor;
  }

  // `failed`: the handle whose call failed; empty at first.
  ray::ActorHandle<Account> Find(int number, ray::ActorHandle<Account> failed) {
    ray::ActorHandle<Account>& account = accounts_[number];
    if (account == failed) {
      try {
        ray::Get(account.Task(&Account::Balance).Remote());
      } catch (const ray::RayActorException&) {
        account.Kill();
        account = Start(number);
        ++replaced_;
      }
    }
    return account;
  }
  int Replaced() const { return replaced_; }

 private:
  explicit Supervisor(const ray::ActorHandle<Ledger>& ledger) : ledger_(ledger) {}
  ray::ActorHandle<Account> Start(int number) const {
    return ray::Actor(Account::Create).SetMaxRestarts(-1).Remote(number, ledger_);
  }

  const ray::ActorHandle<Ledger> ledger_;
  std::vector<ray::ActorHandle<Account>> accounts_;
  int replaced_ = 0;
};

ray::ActorHandle<Account> Find(const ray::ActorHandle<Supervisor>& supervisor, int number,
                               const ray::ActorHandle<Account>& failed = {}) {
  return *ray::Get(supervisor.Task(&Supervisor::Find).Remote(number, failed));
}

// Calls `call` with the account's handle until it answers.
template <class Call>
auto UntilAnswered(const ray::ActorHandle<Supervisor>& supervisor, int number, Call call) {
  ray::ActorHandle<Account> account = Find(supervisor, number);
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    try {
      return *ray::Get(call(account, attempt));
    } catch (const ray::RayActorException&) {
    } catch (const ray::RayTaskException&) {
    }
    account = Find(supervisor, number, account);
  }
  throw std::runtime_error("account " + std::to_string(number) + " does not answer");
}

// --- Transfers and failures are tasks.

struct Order {
  int number, from, to, amount;
  Failure at_withdrawal, at_deposit;
};

// Whether there was enough money.
bool Transfer(const Order& order, ray::ActorHandle<Supervisor> supervisor) {
  const auto apply = [&](int account, int amount, Failure failure) {
    return UntilAnswered(supervisor, account, [&](const ray::ActorHandle<Account>& handle, int attempt) {
      return handle.Task(&Account::Apply).Remote(order.number, amount, attempt == 0 ? failure : Failure::kNone);
    });
  };
  if (!apply(order.from, -order.amount, order.at_withdrawal)) return false;
  return apply(order.to, order.amount, order.at_deposit);
}

void Strike(int number, bool for_good, ray::ActorHandle<Supervisor> supervisor) {
  Find(supervisor, number).Kill(for_good);
}

RAY_REMOTE(Ledger::Create, &Ledger::Open, &Ledger::Write, &Ledger::Books);
RAY_REMOTE(Account::Create, &Account::Apply, &Account::Balance);
RAY_REMOTE(Supervisor::Create, &Supervisor::Find, &Supervisor::Replaced, Transfer, Strike);

// --- A day at the bank.

struct Day {
  std::vector<Book> books;
  std::vector<int> balances;  // as the accounts have it
  int done = 0, refused = 0, kills = 0, replaced = 0;
  std::uint64_t trace = 0;  // of its schedule
  std::string problem;      // empty: there is none
};

Day RunDay(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](int bound) { return static_cast<int>(random() % bound); };
  const auto failure = [&] { return below(8) == 0 ? static_cast<Failure>(1 + below(3)) : Failure::kNone; };

  std::vector<int> money;
  for (int i = 0; i < kAccounts; ++i) money.push_back(below(1000));
  auto ledger = ray::Actor(Ledger::Create).Remote(money);
  auto supervisor = ray::Actor(Supervisor::Create).Remote(ledger);

  Day day;
  std::vector<Order> orders;
  std::vector<ray::ObjectRef<bool>> results;
  std::vector<ray::ObjectRef<void>> strikes;
  for (int i = 0; i < kTransfers; ++i) {
    const int from = below(kAccounts);
    const int to = (from + 1 + below(kAccounts - 1)) % kAccounts;
    const int amount = 1 + below(500);
    orders.push_back({i, from, to, amount, failure(), failure()});
    results.push_back(ray::Task(Transfer).Remote(orders.back(), supervisor));
    if (below(kTransfersToAFailure) == 0) {
      const int victim = below(kAccounts);
      strikes.push_back(ray::Task(Strike).Remote(victim, below(2) == 0, supervisor));
    }
  }
  for (const auto& strike : strikes) ray::Get(strike);
  std::vector<bool> done;
  for (const auto& result : results) done.push_back(*ray::Get(result));

  const auto balance = [](const ray::ActorHandle<Account>& account, int) {
    return account.Task(&Account::Balance).Remote();
  };
  for (int i = 0; i < kAccounts; ++i) day.balances.push_back(UntilAnswered(supervisor, i, balance));
  day.books = *ray::Get(ledger.Task(&Ledger::Books).Remote());
  day.replaced = *ray::Get(supervisor.Task(&Supervisor::Replaced).Remote());
  day.kills = static_cast<int>(strikes.size());

  const auto check = [&](bool holds, const std::string& problem) {
    if (!holds && day.problem.empty()) day.problem = problem;
  };
  int before = 0, after = 0;
  std::size_t entries = 0;
  for (int i = 0; i < kAccounts; ++i) {
    before += money[i];
    after += day.balances[i];
    entries += day.books[i].entries.size();
    check(day.balances[i] == day.books[i].Balance(), "account " + std::to_string(i) + " differs from its book");
    check(day.balances[i] >= 0, "account " + std::to_string(i) + " is overdrawn");
  }
  check(before == after, "there were " + std::to_string(before) + ", there are " + std::to_string(after));
  for (const Order& order : orders) {
    ++(done[order.number] ? day.done : day.refused);
    const auto booked = [&](int account, int amount) {
      const auto& book = day.books[account].entries;
      const auto entry = book.find(order.number);
      return done[order.number] ? entry != book.end() && entry->second == amount : entry == book.end();
    };
    check(booked(order.from, -order.amount) && booked(order.to, order.amount),
          "the books are not as transfer " + std::to_string(order.number) + " says");
  }
  check(entries == 2 * static_cast<std::size_t>(day.done), "there are entries of no transfer");
  return day;
}

void PrintDay(const Day& day) {
  std::printf("account  opened with  balance  entries  instances\n");
  int before = 0, after = 0;
  for (int i = 0; i < kAccounts; ++i) {
    const Book& book = day.books[i];
    std::printf("%7d %12d %8d %8zu %10d\n", i, book.opened_with, day.balances[i], book.entries.size(), book.epoch);
    before += book.opened_with;
    after += day.balances[i];
  }
  std::printf("%7s %12d %8d\n", "sum", before, after);
  std::printf("%d transfers done, %d refused for lack of money; %d kills, %d accounts replaced\n", day.done,
              day.refused, day.kills, day.replaced);
}

// Threads as they come, or one at a time in an order drawn from the seed.
Day RunDay(std::uint64_t seed, bool replay) {
  ray::RayConfig config;
  if (replay) config.schedule_seed = seed;
  ray::Init(config);
  Day day;
  try {
    day = RunDay(seed);
  } catch (const ray::RayException& error) {
    day.problem = error.what();
  }
  ray::Shutdown();
  day.trace = ray::ScheduleTrace();
  return day;
}

// Stops at the first day with a problem, and says which.
bool RunDays(std::uint64_t first_seed, std::uint64_t seeds, bool replay) {
  Day total;
  for (std::uint64_t seed = first_seed; seed - first_seed < seeds; ++seed) {
    const Day day = RunDay(seed, replay);
    if (!day.problem.empty()) {
      std::printf("seed %llu: %s\nagain: bank%s --first-seed=%llu\n", static_cast<unsigned long long>(seed),
                  day.problem.c_str(), replay ? " --replay" : "", static_cast<unsigned long long>(seed));
      return false;
    }
    if (seeds == 1) PrintDay(day);
    if (replay && seeds <= 100) {
      std::printf("seed %llu: schedule %016llx\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(day.trace));
    }
    total.done += day.done;
    total.refused += day.refused;
    total.kills += day.kills;
    total.replaced += day.replaced;
    total.trace = total.trace * 31 + day.trace;
  }
  if (seeds != 1) {
    std::printf("%llu seeds: %d transfers done, %d refused; %d kills, %d accounts replaced\n",
                static_cast<unsigned long long>(seeds), total.done, total.refused, total.kills, total.replaced);
    if (replay) std::printf("all schedules %016llx\n", static_cast<unsigned long long>(total.trace));
  }
  std::printf("money conserved\n");
  return true;
}

// The number of a flag such as --seeds=N.
bool ReadFlag(std::string_view argument, std::string_view name, std::uint64_t& value) {
  if (argument.substr(0, name.size()) != name) return false;
  const std::string text(argument.substr(name.size()));
  if (text.empty() || text.find_first_not_of("0123456789") != text.npos || text.size() > 18) return false;
  value = std::stoull(text);
  return true;
}

}  // namespace

constexpr char kUsage[] =
    "usage: bank [--seeds=N] [--first-seed=S] [--replay]\n"
    "Runs N days, each drawn from its seed; with --replay their schedules too, so that a seed runs the same again.\n";

int main(int argc, char** argv) {
  std::uint64_t seeds = 1, first_seed = 1;
  bool replay = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (argument == "--replay") {
      replay = true;
    } else if (!ReadFlag(argument, "--seeds=", seeds) && !ReadFlag(argument, "--first-seed=", first_seed)) {
      std::fprintf(stderr, "bank: it does not take %s\n%s", argv[i], kUsage);
      return 2;
    }
  }
  try {
    return RunDays(first_seed, seeds, replay) ? 0 : 1;
  } catch (const ray::RayException& error) {
    std::fprintf(stderr, "bank: %s\n", error.what());
    return 1;
  }
}
