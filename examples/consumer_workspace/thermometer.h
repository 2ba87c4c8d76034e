// What runs remotely: a task and an actor, registered in the .cc.
#ifndef CONSUMER_THERMOMETER_H_
#define CONSUMER_THERMOMETER_H_

#include <vector>

double Mean(const std::vector<double>& readings);

class Thermometer {
 public:
  static Thermometer* Create(double offset);
  void Add(double reading);
  std::vector<double> Readings() const;

 private:
  explicit Thermometer(double offset) : offset_(offset) {}
  const double offset_;
  std::vector<double> readings_;
};

#endif  // CONSUMER_THERMOMETER_H_
