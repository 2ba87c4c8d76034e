// Crash points: named steps at which a process can be made to stop dead, so that tests can kill it at each. Internal to
// //object_store/shm. In builds without RUSTYRAY_CRASH_POINTS they are nothing.
//
// RUSTYRAY_CRASH_POINT(name) calls crash_point_hook, if the test set one, with the name.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_CRASH_POINT_H_
#define RUSTYRAY_OBJECT_STORE_SHM_CRASH_POINT_H_

#ifdef RUSTYRAY_CRASH_POINTS

namespace rustyray::object_store::shm {
inline void (*crash_point_hook)(const char* name) = nullptr;
}  // namespace rustyray::object_store::shm

#define RUSTYRAY_CRASH_POINT(name)                                    \
  do {                                                                \
    if (::rustyray::object_store::shm::crash_point_hook != nullptr) { \
      ::rustyray::object_store::shm::crash_point_hook(name);          \
    }                                                                 \
  } while (false)

#else
#define RUSTYRAY_CRASH_POINT(name) \
  do {                             \
  } while (false)
#endif

#endif  // RUSTYRAY_OBJECT_STORE_SHM_CRASH_POINT_H_
