# grove_wasm(krausest SOURCES page/krausest.cpp … OUT variable)
#
# Compiles C++ sources to one WebAssembly module without imports and without an
# entry point, and puts its path into `variable`; the target is `<name>-wasm`.
# What JavaScript calls is marked __attribute__((export_name("…"))); it calls
# `_initialize` first. The compiler and the linker are driven directly: through
# its driver, clang runs whatever wasm-opt it finds, or silently doesn't link.

include_guard(GLOBAL)
set(GROVE_WASM_COMMON "${CMAKE_CURRENT_LIST_DIR}")

find_program(GROVE_WASM_CXX clang++-19)
find_program(GROVE_WASM_LD wasm-ld-19)
find_path(GROVE_WASM_LIBC wasm32-wasi/libc.a PATHS /usr/lib NO_CMAKE_PATH)
find_path(GROVE_WASM_LIBCXX wasm32-wasi/libc++.a PATHS /usr/lib/llvm-19/lib /usr/lib)
find_file(GROVE_WASM_BUILTINS libclang_rt.builtins-wasm32.a
          PATHS /usr/lib/llvm-19/lib/clang/19/lib PATH_SUFFIXES wasi wasm32-unknown-wasi)

function(grove_wasm name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUT" "SOURCES")
  foreach(tool GROVE_WASM_CXX GROVE_WASM_LD GROVE_WASM_LIBC GROVE_WASM_LIBCXX GROVE_WASM_BUILTINS)
    if(NOT ${tool})
      message(FATAL_ERROR "The WebAssembly tools are incomplete (${tool}): apt-get install clang-19 lld-19 wasi-libc "
                          "libc++-19-dev-wasm32 libc++abi-19-dev-wasm32 libclang-rt-19-dev-wasm32")
    endif()
  endforeach()
  set(objects)
  foreach(source IN LISTS arg_SOURCES ITEMS "${GROVE_WASM_COMMON}/wasm/runtime.cpp")
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    cmake_path(GET source STEM stem)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}-${stem}.o")
    add_custom_command(
      OUTPUT "${object}"
      COMMAND "${GROVE_WASM_CXX}" --target=wasm32-wasi -std=c++23 -O2 -DNDEBUG -fno-exceptions -fno-rtti
              -fvisibility=hidden -ffunction-sections -fdata-sections -mbulk-memory -Wall -Wextra -Wpedantic
              -Wconversion -Wno-missing-field-initializers -Wno-missing-designated-field-initializers -Werror
              -I "${GROVE_ROOT}"
              -MD -MF "${object}.d" -c "${source}" -o "${object}"
      DEPENDS "${source}"
      DEPFILE "${object}.d"
      VERBATIM)
    list(APPEND objects "${object}")
  endforeach()
  set(module "${CMAKE_CURRENT_BINARY_DIR}/${name}.wasm")
  add_custom_command(
    OUTPUT "${module}"
    COMMAND "${GROVE_WASM_LD}" --no-entry --gc-sections --strip-all -O2 --stack-first -z stack-size=1048576
            --export=_initialize -L "${GROVE_WASM_LIBC}/wasm32-wasi" -L "${GROVE_WASM_LIBCXX}/wasm32-wasi"
            ${objects} -lc++ -lc++abi -lc "${GROVE_WASM_BUILTINS}" -o "${module}"
    DEPENDS ${objects}
    VERBATIM)
  add_custom_target(${name}-wasm DEPENDS "${module}")
  set(${arg_OUT} "${module}" PARENT_SCOPE)
endfunction()
