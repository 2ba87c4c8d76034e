// The ray:: API: all that programs include.
#ifndef RAY_API_H_
#define RAY_API_H_

#include "ray/api/actor.h"
#include "ray/api/exception.h"
#include "ray/api/lifecycle.h"
#include "ray/api/object_ref.h"
#include "ray/api/put.h"
#include "ray/api/ray_config.h"
#include "ray/api/remote.h"
#include "ray/api/statistics.h"
#include "ray/api/task.h"

#endif  // RAY_API_H_
