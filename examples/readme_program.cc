#include <ray/api.h>

#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

int Square(int x) { return x * x; }
int SizePlus(const std::vector<int>& numbers, int more) { return static_cast<int>(numbers.size()) + more; }
int Fail(int x) { throw std::invalid_argument("no task for " + std::to_string(x)); }
RAY_REMOTE(Square, SizePlus, Fail);

int main() {
  ray::Init();
  auto square = ray::Task(Square).Remote(7);                 // starts; nobody waits
  auto numbers = ray::Put(std::vector<int>(1000, 2));        // an object that tasks share without copying
  auto total = ray::Task(SizePlus).Remote(numbers, square);  // starts when square is ready
  std::cout << *ray::Get(square) << " " << *ray::Get(total) << "\n";
  try {
    ray::Get(ray::Task(Square).Remote(ray::Task(Fail).Remote(3)));
  } catch (const ray::RayTaskException& error) {
    std::cout << error.what() << "\n";
  }
  ray::Shutdown();
}
