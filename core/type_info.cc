#include "core/type_info.h"

namespace rustyray::core {

std::atomic<const internal::RegisteredType*>& internal::RegisteredType::First() {
  static constinit std::atomic<const RegisteredType*> first{nullptr};
  return first;
}

const TypeInfo* FindTypeInfo(std::string_view name, uint64_t fingerprint) {
  const auto* at = internal::RegisteredType::First().load(std::memory_order_acquire);
  for (; at != nullptr; at = at->next()) {
    if (at->type().fingerprint == fingerprint && at->type().name == name && !IsLocalTypeName(name)) return &at->type();
  }
  return nullptr;
}

}  // namespace rustyray::core
