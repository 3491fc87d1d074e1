// What every WebAssembly module is linked with: a start function for modules
// without `main`, and failures that trap instead of printing (printing would
// pull in stdio, and with it imports that a browser doesn't have).

#include <cstdint>
#include <cstdlib>
#include <new>

// Declared by libc++, to be replaced by who wants to.
void std::__libcpp_verbose_abort(const char*, ...) { __builtin_trap(); }

void* operator new(std::size_t size) {
  if (void* memory = std::malloc(size)) return memory;
  __builtin_trap();
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" {

void __wasm_call_ctors();

void _initialize();
void _initialize() { __wasm_call_ctors(); }

void abort() { __builtin_trap(); }

// Debian's compiler-rt is built with stack protectors.
extern std::uintptr_t __stack_chk_guard;
std::uintptr_t __stack_chk_guard = 0x5bd1e995;
[[noreturn]] void __stack_chk_fail();
[[noreturn]] void __stack_chk_fail() { __builtin_trap(); }
}
