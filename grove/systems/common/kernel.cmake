# grove_kernel(<name> <source>…)
#
# A freestanding ELF64 that `qemu-system-x86_64 -kernel` boots (see guest/guest.hpp
# for what it starts with, rig.hpp for how a program on the host runs it). No
# exceptions, RTTI, heap, red zone or vector registers. Its path is
# $<TARGET_FILE:name>; a proof gets it with
#   grove_kernel_for(<leaf's target> <name> <definition>)

include_guard(GLOBAL)
set(GROVE_GUEST "${CMAKE_CURRENT_LIST_DIR}/guest" CACHE INTERNAL "")

function(grove_kernel name)
  add_executable(${name} ${ARGN} "${GROVE_GUEST}/boot.S" "${GROVE_GUEST}/guest.cpp")
  set_source_files_properties("${GROVE_GUEST}/boot.S" PROPERTIES LANGUAGE C)
  target_include_directories(${name} PRIVATE "${GROVE_ROOT}")
  target_link_libraries(${name} PRIVATE grove-warnings)
  target_compile_options(${name} PRIVATE
    $<$<COMPILE_LANGUAGE:C>:-x;assembler-with-cpp>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti;-fno-threadsafe-statics;-mgeneral-regs-only>
    -ffreestanding -mno-red-zone -fno-pic -fno-stack-protector -fcf-protection=none
    -fno-asynchronous-unwind-tables -fno-sanitize=all)
  target_link_options(${name} PRIVATE -nostdlib -static -no-pie -fno-sanitize=all -Wl,--build-id=none
                                      -Wl,-z,max-page-size=4096 "-Wl,-T,${GROVE_GUEST}/kernel.ld")
  set_target_properties(${name} PROPERTIES LINK_DEPENDS "${GROVE_GUEST}/kernel.ld" POSITION_INDEPENDENT_CODE OFF)
endfunction()

# Tells a program where a kernel lies, as a string macro, and builds it first.
function(grove_kernel_for target kernel definition)
  if(TARGET ${target})
    target_compile_definitions(${target} PRIVATE ${definition}="$<TARGET_FILE:${kernel}>")
    add_dependencies(${target} ${kernel})
  endif()
endfunction()
