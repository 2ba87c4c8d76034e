// The ray:: API: an actor that collects, and a task that works on what it has.
#include <ray/api.h>

#include <cstdio>

#include "thermometer.h"

int main() {
  ray::Init();
  auto thermometer = ray::Actor(Thermometer::Create).Remote(0.5);
  for (const double reading : {19.0, 20.0, 21.0}) thermometer.Task(&Thermometer::Add).Remote(reading);
  auto mean = ray::Task(Mean).Remote(thermometer.Task(&Thermometer::Readings).Remote());
  std::printf("mean: %.1f\n", *ray::Get(mean));
  ray::Shutdown();
}
