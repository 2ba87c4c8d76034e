#include "thermometer.h"

#include <ray/api.h>

#include <numeric>
#include <stdexcept>
#include <vector>

double Mean(const std::vector<double>& readings) {
  if (readings.empty()) throw std::invalid_argument("no readings");
  return std::accumulate(readings.begin(), readings.end(), 0.0) / static_cast<double>(readings.size());
}

Thermometer* Thermometer::Create(double offset) { return new Thermometer(offset); }
void Thermometer::Add(double reading) { readings_.push_back(reading + offset_); }
std::vector<double> Thermometer::Readings() const { return readings_; }

RAY_REMOTE(Mean, Thermometer::Create, &Thermometer::Add, &Thermometer::Readings);
