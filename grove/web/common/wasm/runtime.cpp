// What every WebAssembly module is linked with: a start function for modules
// without `main`, and aborts that trap instead of printing (printing would pull
// in stdio and with it imports that a browser doesn't have).

#include <cstdint>

extern "C" {

void __wasm_call_ctors();

void _initialize();
void _initialize() { __wasm_call_ctors(); }

[[noreturn]] void abort();
[[noreturn]] void abort() { __builtin_trap(); }

// Debian's compiler-rt and libc objects are built with stack protectors.
extern std::uintptr_t __stack_chk_guard;
std::uintptr_t __stack_chk_guard = 0x5bd1e995;
[[noreturn]] void __stack_chk_fail();
[[noreturn]] void __stack_chk_fail() { __builtin_trap(); }
}

namespace std {
inline namespace __1 {
[[noreturn, gnu::visibility("default")]] void __libcpp_verbose_abort(const char* format, ...) noexcept;
[[noreturn, gnu::visibility("default")]] void __libcpp_verbose_abort(const char*, ...) noexcept { __builtin_trap(); }
}  // namespace __1
}  // namespace std
