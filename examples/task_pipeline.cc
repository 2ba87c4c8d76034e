// A pipeline of tasks: stages that take the results of stages before them by reference, an error in the middle, a task
// that is cancelled, and one with a deadline.
#include <ray/api.h>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

// --- The stages: read -> parse -> sum.

std::string Read(int document) {
  std::string lines;
  for (int i = 1; i <= 4; ++i) lines += std::to_string(document * i) + "\n";
  return document == 13 ? lines + "thirteen\n" : lines;
}

std::vector<int> Parse(const std::string& lines) {
  std::vector<int> numbers;
  for (std::size_t begin = 0, end; (end = lines.find('\n', begin)) != lines.npos; begin = end + 1) {
    const std::string line = lines.substr(begin, end - begin);
    if (line.find_first_not_of("0123456789") != line.npos) throw std::invalid_argument("'" + line + "' is no number");
    numbers.push_back(std::stoi(line));
  }
  return numbers;
}

long Sum(const std::vector<int>& numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0L); }

// Works until it is told to stop.
int WorkForEver() {
  const auto token = ray::CancelToken::Current();
  while (!token.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return 0;
}

RAY_REMOTE(Read, Parse, Sum, WorkForEver);

// Nothing of this waits: a stage starts when the one before it is done.
ray::ObjectRef<long> SumOfDocument(int document) {
  auto lines = ray::Task(Read).Remote(document);
  auto numbers = ray::Task(Parse).Remote(lines);
  return ray::Task(Sum).Remote(numbers);
}

template <class T>
void PrintResult(const char* what, const ray::ObjectRef<T>& ref) {
  try {
    std::printf("%s: %s\n", what, std::to_string(*ray::Get(ref)).c_str());
  } catch (const ray::RayTaskException& error) {
    std::printf("%s: RayTaskException: %s\n", what, error.what());
  }
}

}  // namespace

int main() {
  ray::Init();

  std::vector<ray::ObjectRef<long>> sums;
  for (int document = 0; document < 10; ++document) sums.push_back(SumOfDocument(document));
  std::printf("stages:");
  for (const auto& sum : ray::Get(sums)) std::printf(" %ld", *sum);
  std::printf("\n");

  PrintResult("an error in the middle", SumOfDocument(13));

  auto cancelled = ray::Task(WorkForEver).Remote();
  ray::Cancel(cancelled);
  PrintResult("cancelled", cancelled);

  auto overdue = ray::Task(WorkForEver).SetDeadline(50).Remote();
  PrintResult("past its deadline", overdue);

  ray::Shutdown();
}
