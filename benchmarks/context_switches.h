// How often the threads of this process were put to sleep or off their processor.
#ifndef RUSTYRAY_BENCHMARKS_CONTEXT_SWITCHES_H_
#define RUSTYRAY_BENCHMARKS_CONTEXT_SWITCHES_H_

#include <dirent.h>
#include <unistd.h>

#include <fstream>
#include <string>

// Context switches, voluntary or not, of all threads but the calling one.
inline long ContextSwitchesOfOthers() {
  long switches = 0;
  const std::string self = std::to_string(gettid());
  DIR* const tasks = opendir("/proc/self/task");
  while (const dirent* const task = readdir(tasks)) {
    if (task->d_name[0] == '.' || task->d_name == self) continue;
    std::ifstream status(std::string("/proc/self/task/") + task->d_name + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.find("ctxt_switches:") != std::string::npos) switches += std::stol(line.substr(line.find(':') + 1));
    }
  }
  closedir(tasks);
  return switches;
}

#endif  // RUSTYRAY_BENCHMARKS_CONTEXT_SWITCHES_H_
