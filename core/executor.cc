#include "core/executor.h"

namespace rustyray::core {

BlockingScope::BlockingScope() {
  for (lent_until_ = held_places; lent_until_ != nullptr; lent_until_ = lent_until_->outer) {
    status_ = lent_until_->executor->BeginBlocking();
    if (!status_.ok()) return;
  }
}

BlockingScope::~BlockingScope() {
  for (HeldPlace* place = held_places; place != lent_until_; place = place->outer) place->executor->EndBlocking();
}

}  // namespace rustyray::core
